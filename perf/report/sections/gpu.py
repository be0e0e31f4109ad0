"""Section about the GTX 1080 Ti, the baseline of ReSprop's speed-ups: docs/results/gpu.md."""

from __future__ import annotations

from gscn.perf.report.data import published
from gscn.perf.report.data.measured import Figures
from gscn.perf.report.drawing import charts
from gscn.perf.report.drawing.page import Figure, Paragraph, Part, Section, Table
from gscn.perf.report.sections.published_beside_ours import Claim

TITLES = {"resnet18": "ResNet-18", "resnet34": "ResNet-34", "resnet50": "ResNet-50",
          "vgg16": "VGG-16"}  # fmt: skip


def _title(name: str) -> str:
    return TITLES.get(name, name)


def claims(figures: Figures) -> list[Claim]:
    """Return ReSprop's published speed-ups beside ours, at both densities."""
    found = []
    for key in figures["published"]:
        row, batches = figures["backward"][key], figures["batches"][key]
        largest = max(row["shares"], key=row["shares"].__getitem__)
        bound = (
            f"the products alone allow {row['speedup_of_products_alone']:.2f}x, DRAM alone "
            f"{row['speedup_of_dram_alone']:.1f}x; {largest} take "
            f"{100 * row['shares'][largest]:.0f} % of our time; what the GPU's time contains "
            "besides convolutions is not in ours; larger batches: "
            + ", ".join(f"batch {n} {own['speedup']:.2f}x" for n, own in batches.items())
        )
        for part, density in (
            ("backward", "density that its controller aims at"),
            ("nominal", "nominal density"),
        ):
            found.append(
                Claim(
                    figure=published.BY_KEY[f"resprop-{key}"],
                    ours=figures[part][key]["speedup"],
                    baseline="the measured time of a GTX 1080 Ti (whole network, batch 16)",
                    terms="equal lanes, clock, DRAM",
                    bound=bound if part == "backward" else "",
                    qualifier=density,
                )
            )
    return found


def _equal_table(figures: Figures) -> Table:
    rows = []
    for name, row in figures["backward"].items():
        rows.append(
            (
                _title(name),
                *(1e3 * row["gpu_seconds"], 1e3 * row["seconds"], row["speedup"]),
                figures["nominal"][name]["speedup"],
                *(row["speedup_of_products_alone"], row["speedup_of_dram_alone"]),
                figures["published"].get(name),
            )
        )
    return Table(
        name="gpu",
        caption="Times faster than the GPU at equal size, batch 16 (docs/results/gpu.md). "
        "**Products alone**: the bound of the multipliers, which none of that size passes.",
        header=(
            *("network", "GPU, ms", "ours, ms", "times faster"),
            *("nominal density", "products alone", "DRAM alone", "published"),
        ),
        rows=tuple(rows),
    )


def _sizes_table(figures: Figures) -> Table:
    rows = []
    for name, size in figures["sizes"].items():
        reached = (None, None) if size is None else (size["multipliers"], size["speedup"])
        rows.append((_title(name), figures["published"][name], *reached))
    return Table(
        name="gpu-sizes",
        caption="Multipliers with which the convolutions are as many times faster than the GPU as "
        "published, at batch 16.",
        header=("network", "published", "multipliers", "times faster"),
        rows=tuple(rows),
    )


def gpu_section(figures: Figures) -> Section:
    """Return the section."""
    backward = figures["backward"]
    series = [f"batch {n}" for n in next(iter(figures["batches"].values()))]
    bars = [
        charts.Bar(
            label=_title(name),
            values=tuple(own["speedup"] for own in figures["batches"][name].values()),
            marks=(figures["published"].get(name), *([None] * (len(series) - 1))),
        )
        for name in backward
    ]
    parts = [
        (_title(name), {part: 100 * share for part, share in row["shares"].items()})
        for name, row in backward.items()
    ]

    def draw(width: int, class_: str) -> str:
        return charts.grouped_bars(
            bars,
            series,
            width=width,
            class_=class_,
            title="Backward pass over a GTX 1080 Ti",
            axis="times faster than the measured GTX 1080 Ti, backward pass",
            mark_label="published, its size unknown",
            reference=1.0,
        )

    def draw_parts(width: int, class_: str) -> str:
        return charts.stacked_bars(
            parts,
            tuple(parts[0][1]),
            width=width,
            class_=class_,
            title="Where our time goes in the backward pass",
            axis="share of our time, backward pass, batch 16, %",
            total=100,
        )

    content: list[Part] = [
        *(Paragraph(words) for words in figures["terms"]),
        Paragraph(
            "At a batch of N, ReSprop's two convolutions with one stored dense gradient are 1/N of "
            "the dense work, and bound the gain where N is small. A buffer on the chip is taken to "
            "bring every byte from DRAM once."
        ),
        Figure(
            name="gpu",
            caption="Backward pass, equal lanes, clock and DRAM bandwidth: convolutions alone by "
            "batch.",
            draw=draw,
        ),
        _equal_table(figures),
        Figure(
            name="gpu-parts",
            caption="What the time of our convolutions is spent on.",
            draw=draw_parts,
        ),
        _sizes_table(figures),
    ]
    return Section(key="gpu", title="Against a GTX 1080 Ti", content=tuple(content))
