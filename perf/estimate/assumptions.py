"""What an estimate of a training step takes for granted, in words."""

from __future__ import annotations

from gscn.conv import Pass
from gscn.perf.estimate.result import Mode, NetworkEstimate, works_of
from gscn.perf.estimate.sampling import MOST_GROWTH
from gscn.perf.estimate.whole_step import REFRESH
from gscn.perf.workload.layers import Network
from gscn.perf.workload.sparsification import Gradients, Sparsification
from gscn.perf.workload.statistics import read_statistics


def assumptions(result: NetworkEstimate) -> list[str]:
    """Return what the estimate takes for granted, in words."""
    sparsification = result.sparsification
    method = sparsification.method
    always = [
        (
            "Layers run one after the other. Speed-ups are of convolutions and fully connected "
            "layers; those with operands or with everything are of a whole step, the list that "
            "its compiler makes, in two queues: encode passes take what the unit's cycle model "
            f"says, and one step in {REFRESH} selects thresholds. The dense array has the same "
            "unit. The host, its scalars of channels and the loss, takes no time."
        ),
        (
            "The dense baseline has as many multipliers at the same clock, arranged anew for "
            "each pass to waste least. It starts a tile in every cycle, reads operands once and "
            "writes results once over the same port, and overlaps that with computing."
        ),
        _dram_line(result),
        _coverage_line(result.network),
        *result.network.notes,
        *_weights_line(result.network),
    ]
    if result.mode is Mode.TRACE:
        credited = (
            "FLOP reductions are of the recorded operands: they count padding and credit zeros "
            "that ReLU leaves, which a trace does not tell from those of the method; ReSprop's "
            "terms of one sample are counted in them."
        )
        return [*_mode_lines(result), *always, credited]
    always.append("FLOP reductions count padding and do not credit zeros that ReLU leaves.")
    lines = [
        *_mode_lines(result),
        (
            "Inputs of layers after the first have a density of "
            f"{sparsification.activation_density:g} before any selection by the method; the image "
            "is dense."
        ),
        "Layers that read the image need no input gradient.",
        *always,
    ]
    kept = f"{1 - sparsification.sparsity:g}"
    if method.prunes:
        lines += [
            (
                f"SWAT: weights {kept} dense in forward and input gradient; inputs {kept} dense "
                "(or as ReLU leaves them, if fewer) in the weight gradient."
            ),
            (
                "SWAT: weights and saved inputs of the first layer are dense; fully connected "
                "layers are sparse."
            ),
        ]
    if method.reuses:
        lines += [
            (
                f"ReSprop: differences of output gradients {sparsification.difference_density:g} "
                f"dense in every convolution ({_why_so_dense(sparsification)}); the output "
                "gradients of fully connected layers are dense."
            ),
            (
                "ReSprop: the backward passes of a convolution also convolve with one stored, "
                "dense output gradient, 1/N of the batch; the inputs summed over the batch are "
                "dense."
            ),
        ]
    elif method.prunes:
        lines.append("SWAT: output gradients are dense.")
    return lines


_NAMED_IN_TEXT = 12
"""Omitted parts that a text names, the largest; JSON has all."""


def _dram_line(result: NetworkEstimate) -> str:
    """Say what is behind the memory ports."""
    dram = result.dram
    if dram is None:
        return "What is behind the memory ports is no limit."
    behind = (
        f"a buffer of {dram.buffer_bytes >> 10} KiB (lines of 64 bytes, the one used longest ago "
        "is replaced; results pass it by)"
        if dram.buffer_bytes
        else "no buffer"
    )
    found = {
        Mode.TRACE: "The bytes that it delivers are those of the recorded operands, counted.",
        Mode.ANALYTIC: "The bytes that it delivers are a closed form's.",
    }
    how = found.get(
        result.mode,
        "Each operand is delivered as many times as the driver's closed form says, which cuts "
        "passes so that they read less.",
    )
    bound = sum(p.cycles for p in result.passes if p.bound == "DRAM") / result.cycles()
    return (
        f"Behind the memory ports are {behind} and a DRAM of {dram.bytes_per_cycle:g} bytes per "
        "cycle, reads and writes together: a launch takes the longer of the array's cycles and of "
        "DRAM's, and so does the dense array, which moves every operand and result once. "
        f"{how} {100 * bound:.0f} % of the cycles are in passes that DRAM bounds."
    )


def _weights_line(network: Network) -> list[str]:
    """Say whose weights have a density that no method aims at."""
    count = sum(layer.weight_density is not None for layer in network.layers)
    if not count:
        return []
    return [f"Weights of {count} layers are as dense as the network's file says, in every pass."]


def _coverage_line(network: Network) -> str:
    """Say what the network computes besides its layers."""
    if network.omitted is None:
        return (
            "Figures are of the layers listed: whether the network computes anything besides "
            "is not known."
        )
    if not network.omitted:
        return "Every product of the network's forward pass is one of a layer listed."
    largest = sorted(network.omitted, key=lambda one: -(one.share or 0.0))
    named = "; ".join(str(one) for one in largest[:_NAMED_IN_TEXT])
    more = len(largest) - _NAMED_IN_TEXT
    return (
        f"Figures are of the layers listed, {100 * network.covered_share:.2f} % of the "
        "multiply-accumulates of a forward pass. Not among them: "
        + named
        + (f"; and {more} more" if more > 0 else "")
        + "."
    )


def _why_so_dense(sparsification: Sparsification) -> str:
    if sparsification.gradient_density is not None:
        return "as given"
    if sparsification.gradients is Gradients.NOMINAL:
        return "the nominal 1 - sparsity; training aims at more"
    points = 100 * (sparsification.difference_density - (1 - sparsification.sparsity))
    return f"what training aims at, {points:g} points above 1 - sparsity"


def _mode_lines(result: NetworkEstimate) -> list[str]:
    """Say how the cycles were found."""
    found = {
        Mode.TRACE: _trace_lines,
        Mode.UNIFORM: _uniform_lines,
        Mode.ANALYTIC: _analytic_lines,
        Mode.STATISTICAL: _statistical_lines,
    }
    return found[result.mode](result)


def _trace_lines(result: NetworkEstimate) -> list[str]:
    text = (
        f"Cycles are those of the cycle model of {result.config.multipliers} multipliers on the "
        "recorded operands, every pass as a whole; it equals the generated Verilog cycle for "
        "cycle. ReSprop's terms of one sample, whose operands a trace does not hold, are not "
        "counted."
    )
    return [text]


def _uniform_lines(result: NetworkEstimate) -> list[str]:
    how = (
        "Cycles of a layer: its expected useful products, divided by the multipliers times the "
        "utilisation of a sample of the layer on the cycle model of "
        f"{result.config.multipliers} multipliers."
    )
    size = (
        f"Samples hold at most {result.sample_products} expected useful products: the batch, rows "
        "and columns, and channels are halved until they fit. Start and end of a launch weigh more "
        "in a sample than in its layer, which understates the utilisation."
    )
    even = (
        "Operands of samples are uniform random; nonzeros of real tensors are spread less evenly."
    )
    return [how, size, even]


def _analytic_lines(_: NetworkEstimate) -> list[str]:
    how = (
        "Cycles of a layer are those of a closed form whose coefficients were fitted to the cycle "
        "model (docs/results/model-error.md has its error)."
    )
    return [how, *_statistics_lines()]


def _statistical_lines(result: NetworkEstimate) -> list[str]:
    works = works_of(result)
    sampled = {work.sample for work in works if work.sample}
    covered = sum(work.cycles for work in works if work.sample) / result.cycles()
    how = (
        f"{len(sampled)} samples of at most {result.sample_products} expected useful products, or "
        f"{MOST_GROWTH} times as many where the driver would cut fewer images otherwise, "
        "with operands drawn by the statistics of real ones, were run on the cycle model of "
        f"{result.config.multipliers} multipliers. A closed form brings each to the size of its "
        f"layer. Layers with a sample take {100 * covered:.0f} % of the cycles; the others are "
        "corrected as their pass is on average."
    )
    return [how, *_statistics_lines()]


def _statistics_lines() -> list[str]:
    statistics = read_statistics()
    factors = ", ".join(f"{statistics.products[which]:.3f} ({which})" for which in Pass)
    products = (
        "Products of a pass: those that independent operands of the given densities have, times "
        f"{factors}, as real ones were found to have."
    )
    return [products, f"Statistics of real operands: {'; '.join(statistics.traces)}."]
