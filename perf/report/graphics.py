"""Section about the GTX 1080 Ti, the baseline of ReSprop's published speed-ups: docs/gpu.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gscn.errors import InputError
from perf.report import charts, published
from perf.report.documents import DocumentTable, number, read_tables
from perf.report.page import Figure, Paragraph, Part, Section, Table
from perf.report.verdict import Claim

TITLES = {"resnet18": "ResNet-18", "resnet34": "ResNet-34", "resnet50": "ResNet-50",
          "vgg16": "VGG-16"}  # fmt: skip
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuDocument:
    """What `python -m benchmarks.gpu` wrote."""

    terms: tuple[str, ...]
    """Paragraphs before the first table: on what terms the two are compared."""
    equal: DocumentTable
    """At equal size, per network."""
    shares: DocumentTable
    """Where our time goes, %."""
    batches: DocumentTable
    sizes: DocumentTable

    @classmethod
    def read(cls, path: Path) -> GpuDocument:
        """Read the document.

        Raises
        ------
        InputError
            It cannot be read, or has not the tables that are expected.
        """
        tables = read_tables(path)
        if len(tables) != 4:
            raise InputError(f"{path} must have 4 tables, not {len(tables)}")
        equal, shares, batches, sizes = tables
        text = path.read_text(encoding="utf-8").split("\n## ", 1)[0]
        terms = [_LINK.sub(r"\1", block) for block in text.split("\n\n")[1:] if block.strip()]
        return cls(terms=tuple(terms), equal=equal, shares=shares, batches=batches, sizes=sizes)


def _title(name: str) -> str:
    return TITLES.get(name, name)


def _values(row: dict[str, str]) -> dict[str, float]:
    """Return the cells of a row that are numbers."""
    cells = {name: cell for name, cell in row.items() if cell and re.match(r"[-+\d]", cell)}
    return {name: number(cell) for name, cell in cells.items()}


def claims(document: GpuDocument) -> list[Claim]:
    """Return ReSprop's published speed-ups beside ours, at both densities of the document."""
    found = []
    for key in ("resnet34", "vgg16"):
        row = _values(document.equal.row(key))
        batches = _values(document.batches.row(key))
        shares = _values(document.shares.row(key))
        largest = max(shares, key=shares.__getitem__)
        bound = (
            f"the products alone allow {row['products alone']:.2f}x, DRAM alone "
            f"{row['DRAM alone']:.1f}x; with sparsification after the convolutions "
            f"{row['with sparsification']:.2f}x, with every pass over tensors, which the GPU's "
            f"time contains, {row['with everything']:.2f}x, and then {largest} take "
            f"{shares[largest]:.0f} %; larger batches: "
            + ", ".join(f"{name} {value:.2f}x" for name, value in batches.items())
        )
        for column, density in (
            ("times faster", "density that its controller aims at"),
            ("nominal density", "nominal density"),
        ):
            found.append(
                Claim(
                    figure=published.BY_KEY[f"resprop-{key}"],
                    ours=row[column],
                    baseline="the measured time of a GTX 1080 Ti (whole network, batch 16)",
                    terms="equal lanes, clock, DRAM",
                    bound=bound if column == "times faster" else "",
                    qualifier=density,
                )
            )
    return found


def _as_table(name: str, caption: str, table: DocumentTable) -> Table:
    rows = []
    for row in table.rows:
        values = _values(dict(zip(table.header, row, strict=True)))
        rows.append((_title(row[0]), *(values.get(column) for column in table.header[1:])))
    return Table(name=name, caption=caption, header=table.header, rows=tuple(rows))


def gpu_section(document: GpuDocument) -> Section:
    """Return the section."""
    names = document.equal.column("network")
    series = document.batches.header[1:]
    bars = []
    for name in names:
        row, batches = _values(document.equal.row(name)), _values(document.batches.row(name))
        bars.append(
            charts.Bar(
                label=_title(name),
                values=(*(batches[batch] for batch in series), row["with everything"]),
                marks=(row.get("published"), *([None] * len(series))),
            )
        )
    parts = [(_title(name), _values(document.shares.row(name))) for name in names]

    def draw(width: int, class_: str) -> str:
        return charts.grouped_bars(
            bars,
            [*series, "batch 16, all passes over tensors after the convolutions"],
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
            document.shares.header[1:],
            width=width,
            class_=class_,
            title="Where our time goes in the backward pass",
            axis="share of our time, backward pass, batch 16, %",
            total=100,
        )

    content: list[Part] = [
        *(Paragraph(words) for words in document.terms),
        Paragraph(
            "At a batch of N, ReSprop's two convolutions with one stored dense gradient are 1/N of "
            "the dense work, and bound the gain where N is small. A buffer on the chip is taken to "
            "bring every byte from DRAM once."
        ),
        Figure(
            name="gpu",
            caption="Backward pass, equal lanes, clock and DRAM bandwidth: convolutions alone by "
            "batch, then everything one after the other.",
            draw=draw,
        ),
        _as_table(
            "gpu",
            "Times faster than the GPU at equal size, batch 16 (docs/gpu.md). **Products alone**: "
            "the bound of the multipliers, which no accelerator of that size passes.",
            document.equal,
        ),
        Figure(
            name="gpu-parts",
            caption="What our time is spent on, convolutions and passes over tensors together.",
            draw=draw_parts,
        ),
        _as_table(
            "gpu-sizes",
            "Multipliers with which the convolutions are as many times faster than the GPU as "
            "published, at batch 16.",
            document.sizes,
        ),
    ]
    return Section(key="gpu", title="Against a GTX 1080 Ti", content=tuple(content))
