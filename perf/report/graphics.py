"""Section about the GTX 1080 Ti, the baseline of ReSprop's published speed-ups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perf import gpu
from perf.flops import Method, Sparsification
from perf.gpu import GpuComparison, gpu_comparison, multipliers_for
from perf.report import charts, published
from perf.report.page import Figure, Paragraph, Part, Section, Table
from perf.report.verdict import Claim

SPARSITY = 0.9
RELU_DENSITY = 0.5
"""Nonzeros that ReLU leaves in a layer's inputs: half, the density of a sum that is as often
negative as positive; recorded ones are 0.48 to 0.67 (docs/utilization.md)."""
MASKED = {"vgg16": RELU_DENSITY}
"""Density of ReSprop's stored output gradients, where no normalisation stands behind ReLU."""
TITLES = {"resnet18": "ResNet-18", "resnet34": "ResNet-34", "resnet50": "ResNet-50",
          "vgg16": "VGG-16"}  # fmt: skip
BATCHES = (gpu.BATCH, 64, 256)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """A network on both, at several batches."""

    network: str
    backward: tuple[GpuComparison, ...]
    """One per batch of `BATCHES`."""
    forward: GpuComparison


def sparsification() -> Sparsification:
    """Return ReSprop at the sparsity of the section, zeros of ReLU in the inputs included."""
    return Sparsification(method=Method.RESPROP, sparsity=SPARSITY, activation_density=RELU_DENSITY)


def compare(networks: Sequence[str] = tuple(TITLES)) -> list[Comparison]:
    """Return the comparisons; milliseconds each, by the closed form."""
    return [
        Comparison(
            network=name,
            backward=tuple(
                gpu_comparison(
                    name, sparsification(), batch=batch, masked_gradients=MASKED.get(name, 1.0)
                )
                for batch in BATCHES
            ),
            forward=gpu_comparison(name, sparsification(), backward=False),
        )
        for name in networks
    ]


def bound_of(found: GpuComparison) -> str:
    """Say in words and numbers what takes the time of a comparison."""
    parts = sorted(found.shares.items(), key=lambda item: -item[1])
    said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in parts if share >= 0.02)
    return (
        f"convolutions alone, compressed operands from DRAM once; with sparsification after them "
        f"{found.speedup_with_sparsification:.1f}x, with every pass over tensors after them, "
        f"which the GPU's time contains, {found.speedup_with_everything:.1f}x; of all that: {said}"
    )


_BASELINE = (
    f"the measured time of a GTX 1080 Ti (whole network, float32, cuDNN 5.1, batch {gpu.BATCH}), "
    f"ours with {gpu.LANES} multipliers at {gpu.CLOCK_HZ / 1e9:.3f} GHz and "
    f"{gpu.DRAM_BYTES_PER_SECOND / 1e9:.0f} GB/s"
)


def claims(comparisons: Sequence[Comparison]) -> list[Claim]:
    """Return ReSprop's published speed-ups beside ours at equal lanes, clock and bandwidth."""
    found = {comparison.network: comparison for comparison in comparisons}
    return [
        Claim(
            figure=published.BY_KEY[f"resprop-{name}"],
            ours=found[name].backward[0].speedup,
            baseline=_BASELINE,
            terms="equal lanes, clock, bandwidth; its size is unknown",
            bound=bound_of(found[name].backward[0]),
        )
        for name in gpu.PUBLISHED_BACKWARD
        if name in found
    ]


def comparisons_table(comparisons: Sequence[Comparison]) -> Table:
    """Return all comparisons with their parts."""
    rows = []
    for comparison in comparisons:
        for found in (comparison.forward, *comparison.backward):
            value = None
            if found.backward and found.batch == gpu.BATCH:
                value = gpu.PUBLISHED_BACKWARD.get(comparison.network)
            rows.append(
                (
                    *(TITLES[comparison.network], "backward" if found.backward else "forward"),
                    *(found.batch, 1e3 * found.gpu, 1e3 * found.convolutions, found.speedup, value),
                    *(found.speedup_with_sparsification, found.speedup_with_everything),
                    *(100 * share for share in found.shares.values()),
                )
            )
    parts = comparisons[0].forward.shares
    return Table(
        name="gpu",
        caption=f"ReSprop at {100 * SPARSITY:.0f} % on slices of the accelerator, "
        f"{comparisons[0].forward.multipliers} multipliers in all. **Speed-up**: convolutions "
        "alone, all else overlapped; then with sparsification, and with all passes over tensors, "
        "after the convolutions. Beyond the measured batch the GPU's time is taken per image.",
        header=(
            *("network", "passes", "batch", "GPU, ms", "ours, ms", "speed-up", "published"),
            *("with sparsification", "with everything", *(f"{name}, %" for name in parts)),
        ),
        rows=tuple(rows),
        columns=9,
    )


def sizes_table() -> Table:
    """Return the multipliers with which convolutions reach the published speed-ups."""
    rows = []
    for name, value in gpu.PUBLISHED_BACKWARD.items():
        for batch in BATCHES:
            for bandwidth in (1, 4):
                found = multipliers_for(
                    name,
                    value,
                    sparsification(),
                    batch=batch,
                    dram_bytes_per_second=bandwidth * gpu.DRAM_BYTES_PER_SECOND,
                    masked_gradients=MASKED.get(name, 1.0),
                )
                rows.append(
                    (
                        *(TITLES[name], value, batch, bandwidth * gpu.DRAM_BYTES_PER_SECOND / 1e9),
                        *((found.multipliers, found.speedup) if found else (None, None)),
                    )
                )
    return Table(
        name="gpu-sizes",
        caption="Multipliers, at the GPU's clock, with which the convolutions reach the published "
        "speed-up, by batch and DRAM bandwidth; none where more multipliers do not help.",
        header=("network", "published", "batch", "DRAM, GB/s", "multipliers", "speed-up"),
        rows=tuple(rows),
    )


def gpu_section(comparisons: Sequence[Comparison]) -> Section:
    """Return the section."""
    bars = [
        charts.Bar(
            label=TITLES[comparison.network],
            values=(
                *(found.speedup for found in comparison.backward),
                comparison.backward[0].speedup_with_everything,
            ),
            marks=(gpu.PUBLISHED_BACKWARD.get(comparison.network), *([None] * len(BATCHES))),
        )
        for comparison in comparisons
    ]
    series = [
        *(f"batch {batch}" for batch in BATCHES),
        f"batch {gpu.BATCH}, all passes over tensors after the convolutions",
    ]

    def draw(width: int, class_: str) -> str:
        return charts.grouped_bars(
            bars,
            series,
            width=width,
            class_=class_,
            title="Backward pass over a GTX 1080 Ti",
            axis="times faster than the measured GTX 1080 Ti, backward pass",
            mark_label="published for GSCN, its size unknown",
            reference=1.0,
        )

    parts = [
        (
            f"{TITLES[comparison.network]}, batch {found.batch}",
            {name: 100 * share for name, share in found.shares.items()},
        )
        for comparison in comparisons
        for found in comparison.backward
    ]

    def draw_parts(width: int, class_: str) -> str:
        return charts.stacked_bars(
            parts,
            list(comparisons[0].forward.shares),
            width=width,
            class_=class_,
            title="Where our time goes in the backward pass",
            axis="share of our time, backward pass, %",
            total=100,
        )

    content: list[Part] = [
        Paragraph(
            "The published speed-ups are of the backward pass alone, over a GTX 1080 Ti, for an "
            "accelerator whose size, clock, precision and batch are unknown. Terms as equal as "
            f"can be stated: {_BASELINE}; {100 * SPARSITY:.0f} % of the differences of output "
            f"gradients zero, {100 * (1 - RELU_DENSITY):.0f} % of the inputs zero behind "
            "ReLU. At a batch of N, ReSprop's two convolutions with one stored dense gradient "
            "are 1/N of the dense work, and bound the gain where N is small."
        ),
        Figure(
            name="gpu",
            caption="Backward pass, equal lanes, clock and DRAM bandwidth; convolutions alone by "
            "batch, then everything one after the other.",
            draw=draw,
        ),
        Figure(
            name="gpu-parts",
            caption="What our time is spent on, convolutions and passes over tensors together.",
            draw=draw_parts,
        ),
        comparisons_table(comparisons),
        sizes_table(),
    ]
    return Section(key="gpu", title="Against a GTX 1080 Ti", content=tuple(content))
