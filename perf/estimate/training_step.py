"""Training time of a full network.

Three modes need no trace, and one does (`perf.estimate.result.Mode`). In the statistical mode the
layers that take most of the time are cut to samples (`perf.estimate.sampling`) whose operands are
drawn by the statistics of real ones, and run on the cycle model; the closed form
(`perf.estimate.closed_form`) brings each from the sample's size to the layer's: if a sample loses
half as many cycles again as the closed form says, so does its layer. Layers without a sample of
their own are corrected as their pass is on average. Where a DRAM behind the ports is given, each
launch takes the longer of the array's cycles and of DRAM's for the bytes that a buffer leaves to it
(`perf.estimate.buffer`). The result is compared with a dense array of as many multipliers at the
same clock, memory port and DRAM (`perf.dense_array`). What is assumed is listed in the result, in
words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from gscn.array import ArrayConfig
from gscn.conv import Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.golden.traces.trace import Trace
from gscn.perf.dense_array import dense_cost
from gscn.perf.estimate.assumptions import assumptions
from gscn.perf.estimate.memory import Dram, check_buffer
from gscn.perf.estimate.modes import analytic, statistical, uniform, with_rivals
from gscn.perf.estimate.recorded_step import RecordedPass, measure_recorded
from gscn.perf.estimate.result import (
    BACKWARD,
    CLOCK_HZ,
    Mode,
    NetworkEstimate,
    PassEstimate,
    WorkEstimate,
)
from gscn.perf.estimate.result_json import to_json
from gscn.perf.estimate.sampling import SAMPLING, Sampling
from gscn.perf.workload.layers import Layer, Network
from gscn.perf.workload.sparsification import Method, Sparsification
from gscn.perf.workload.work import Work, pass_work, passes

__all__ = [
    "BACKWARD",
    "Mode",
    "NetworkEstimate",
    "PassEstimate",
    "WorkEstimate",
    "assumptions",
    "estimate",
    "estimate_recorded",
    "recorded_items",
    "to_json",
]

Items = Sequence[tuple[Layer, Pass, tuple[Work, ...]]]
"""Passes of layers with the convolutions that they consist of."""


@takes_text
def estimate(
    network: Network,
    config: ArrayConfig,
    sparsification: Sparsification,
    *,
    items: Items | None = None,
    mode: Mode = Mode.STATISTICAL,
    rivals: Sequence[str] = (),
    clock_hz: float = CLOCK_HZ,
    sampling: Sampling = SAMPLING,
    dram: Dram | None = None,
) -> NetworkEstimate:
    """Estimate a training step of a network on the accelerator and on the dense array.

    Parameters
    ----------
    network
        Layers at one image size and batch.
    config
        The accelerator; the dense array and rivals have as many multipliers and the same port.
    sparsification
        Method and densities.
    items
        The passes, and the convolutions of each; of a recorded step, `recorded_items`. The
        sparsification then says only of what kind operands are. By default those of the network.
    mode
        Any but `Mode.TRACE`, for which there is `estimate_recorded`.
    rivals
        Names of other accelerators (`perf.rivals.RIVALS`) to be given the same layers.
    clock_hz
        At which cycles are told as seconds.
    sampling
        Samples of the statistical and the uniform mode, and of rivals.
    dram
        Behind the memory ports; None: it is no limit. Rivals have no such model.

    Raises
    ------
    InputError
        A sample cannot be lowered, or has no products; an option out of range.
    """
    # Wide: what is estimated, on what and how; all but the first three have defaults.
    if items is None:
        items = network_items(network, sparsification)
    if not clock_hz > 0:
        raise InputError(f"clock must be over 0 Hz, not {clock_hz}")
    check_buffer(dram)
    if dram is not None and rivals:
        raise InputError("a DRAM must be given without rivals: they have no model of it")
    estimates = _estimates(config, sparsification, items, mode, sampling, dram)
    if rivals:
        estimates = with_rivals(config, estimates, sparsification, rivals, sampling.measure_rivals)
    return NetworkEstimate(
        network=network,
        config=config,
        sparsification=sparsification,
        mode=mode,
        sample_products=sampling.products,
        clock_hz=clock_hz,
        dram=dram,
        passes=tuple(
            PassEstimate(
                layer=layer,
                which=which,
                works=tuple(estimates[work] for work in own),
                dense=dense_cost(
                    config,
                    layer.shape,
                    layer.runs_as(which),
                    dram_bytes_per_cycle=dram.bytes_per_cycle if dram else None,
                ),
            )
            for layer, which, own in items
        ),
    )


def _estimates(
    config: ArrayConfig,
    sparsification: Sparsification,
    items: Items,
    mode: Mode,
    sampling: Sampling,
    dram: Dram | None,
) -> dict[Work, WorkEstimate]:
    """Return what a mode makes of the different convolutions of a step."""
    works = list(dict.fromkeys(work for _, _, own in items for work in own))
    if mode is Mode.STATISTICAL:
        counts = {work: sum(own.count(work) for _, _, own in items) for work in works}
        return statistical(
            config, works, counts, prunes=sparsification.method.prunes, sampling=sampling,
            dram=dram,
        )  # fmt: skip
    if mode is Mode.ANALYTIC:
        return analytic(config, works, dram)
    if mode is Mode.UNIFORM:
        return uniform(config, works, sampling, dram)
    raise InputError(f"mode must be one that needs no trace, not {mode}")


def network_items(
    network: Network, sparsification: Sparsification
) -> list[tuple[Layer, Pass, tuple[Work, ...]]]:
    """Return the passes of a network's layers at the densities that a method aims at."""
    return [
        (layer, which, pass_work(layer, which, sparsification))
        for layer in network.layers
        for which in passes(layer)
    ]


def recorded_items(trace: Trace) -> tuple[Network, list[tuple[Layer, Pass, tuple[Work, ...]]]]:
    """Return the layers of a recorded step, and their passes at the recorded densities.

    ReSprop's terms of one sample are not among them: traces hold their results, not their operands.
    """
    layers = tuple(
        Layer(
            name=entry.name,
            shape=entry.shape,
            first=index == 0,
            # What was recorded says it; the first recorded layer may not be the network's first.
            input_grad=(Pass.FORWARD if entry.transposed else Pass.INPUT_GRAD) in entry.densities,
            normalised=entry.normalised,
            transposed=entry.transposed,
        )
        for index, entry in enumerate(trace.entries.values())
    )
    items = [
        (
            layer,
            layer.runs_as(which),
            (
                Work(
                    shape=layer.shape,
                    which=which,
                    first_density=densities[0],
                    second_density=densities[1],
                    transposed=layer.transposed,
                ),
            ),
        )
        for layer in layers
        for which, densities in trace.entry(layer.name).densities.items()
    ]
    return Network(name=trace.network, layers=layers, omitted=trace.omitted), items


def estimate_recorded(
    trace: Trace,
    config: ArrayConfig,
    *,
    clock_hz: float = CLOCK_HZ,
    dram: Dram | None = None,
    measure: Callable[[Trace, ArrayConfig], Sequence[RecordedPass]] | None = None,
) -> NetworkEstimate:
    """Return the cycles of a recorded training step, every pass as a whole on the cycle model.

    Parameters
    ----------
    trace
        The step.
    config
        The accelerator.
    clock_hz
        At which cycles are told as seconds.
    dram
        Behind the memory ports; None: it is no limit.
    measure
        As `perf.estimate.recorded_step.measure_recorded` with the DRAM and other options bound; by
        default with the DRAM.
    """
    check_buffer(dram)
    network, _ = recorded_items(trace)
    layers = {layer.name: layer for layer in network.layers}
    measure = measure or partial(measure_recorded, dram=dram)
    measured = measure(trace, config)
    sparsification = Sparsification(method=_method(trace), sparsity=trace.sparsity)
    return NetworkEstimate(
        network=network,
        config=config,
        sparsification=sparsification,
        mode=Mode.TRACE,
        sample_products=0,
        clock_hz=clock_hz,
        dram=dram,
        passes=tuple(
            PassEstimate(
                layer=layers[one.layer],
                which=layers[one.layer].runs_as(one.which),
                works=(_of_trace(config, one, layers[one.layer], dram),),
                dense=dense_cost(
                    config,
                    one.shape,
                    one.which,
                    dram_bytes_per_cycle=dram.bytes_per_cycle if dram else None,
                ),
            )
            for one in measured
        ),
    )


def _method(trace: Trace) -> Method:
    try:
        return Method(trace.method)
    except ValueError as error:
        raise InputError(
            f"method of the trace must be one of {', '.join(Method)}, not {trace.method!r}"
        ) from error


def _of_trace(
    config: ArrayConfig, one: RecordedPass, layer: Layer, dram: Dram | None
) -> WorkEstimate:
    measured = one.measurement
    return WorkEstimate(
        work=Work(
            shape=one.shape,
            which=one.which,
            first_density=one.first_density,
            second_density=one.second_density,
            transposed=layer.transposed,
        ),
        useful_products=measured.useful_products,
        array_cycles=measured.cycles,
        multipliers=config.multipliers,
        port_bytes=config.port_bytes_per_cycle,
        read_bytes=measured.read_bytes,
        write_bytes=measured.write_bytes,
        dram_read_bytes={size: reads.total for size, reads in measured.dram_reads.items()},
        operand_bytes=measured.operand_bytes,
        dram=dram,
        measurement=measured,
    )
