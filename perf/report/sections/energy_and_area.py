"""Section about energy and area."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.estimate.energy import (
    COMPONENTS,
    HOROWITZ_45NM,
    Accesses,
    Technology,
    dense_energy,
    energy,
    energy_per_product,
)
from gscn.perf.estimate.memory_energies import SUBARRAY_ROWS, WIRE_PJ
from gscn.perf.estimate.storage import storage
from gscn.perf.report.data.estimated import Estimated
from gscn.perf.report.data.measured import Figures
from gscn.perf.report.drawing import charts
from gscn.perf.report.drawing.page import Figure, Paragraph, Part, Section, Table
from gscn.perf.report.sections.memory_hierarchy import MIB

BUFFER_BYTES = 4 * MIB
"""Of the variant with a buffer behind the ports."""
_TO_MJ = 1e-9


def network_energy(
    result: Estimated, *, buffer_bytes: int = 0, position: float = 0.5
) -> dict[str, float]:
    """Return our energy of a training step by component, mJ."""
    total = dict.fromkeys(COMPONENTS, 0.0)
    for p in result.passes:
        parts = energy(
            result.config,
            Accesses(**p.accesses),
            dram_bytes=p.dram_bytes(buffer_bytes),
            buffer_bytes=buffer_bytes,
            dram_position=position,
        )
        total = {name: total[name] + _TO_MJ * parts[name] for name in COMPONENTS}
    return total


def network_dense_energy(
    result: Estimated, *, buffer_bytes: int = 0, position: float = 0.5
) -> dict[str, float]:
    """Return the dense array's energy of the same step by component, mJ."""
    total = dict.fromkeys(COMPONENTS, 0.0)
    for p in result.passes:
        parts = dense_energy(
            result.config,
            p.shape,
            p.runs_as,
            buffer_bytes=buffer_bytes,
            dram_position=position,
        )
        total = {name: total[name] + _TO_MJ * parts[name] for name in COMPONENTS}
    return total


def constants_table(technology: Technology) -> Table:
    """Every energy that is used as published."""
    rows = [
        *((f"integer addition, {bits} bits", value) for bits, value in technology.add),
        *((f"integer multiplication, {bits} bits", value) for bits, value in technology.multiply),
        ("64 bits of DRAM, least", technology.dram[0]),
        ("64 bits of DRAM, most", technology.dram[1]),
        ("a bit over a millimetre of wire", WIRE_PJ),
        *(
            (f"a row of {one.bits} bits of {one.rows}, {way}", getattr(one, way))
            for one in technology.memory.small
            for way in ("read", "write")
        ),
        *(
            (f"{one.bits} bits of a buffer of {one.rows * one.bits >> 13} KiB, {way}", value)
            for one in technology.memory.large
            for way, value in (("read", one.read), ("write", one.write))
        ),
    ]
    return Table(
        name="energy-constants",
        caption=f"Energies as published: {technology.source}; operations between them by a power "
        f"law through the two nearest. Memories: {technology.memory.source}; between them by "
        f"lines. A memory of more rows than {SUBARRAY_ROWS} is made of subarrays of so many, of "
        "which one is read or written, and wires as long as the side of their square; rows of more "
        "bits lie side by side. Wires: S. Keckler et al., GPUs and the Future of Parallel "
        "Computing, IEEE Micro 31(5), 2011, Table 1.",
        header=("operation", "pJ"),
        rows=tuple(rows),
        folded=True,
    )


def derived_table(config: ArrayConfig, technology: Technology) -> Table:
    """Return what each access costs in this configuration."""
    per_product = energy_per_product(config, technology)
    whole = sum(per_product.values())
    rows = [(name, value, 100 * value / whole) for name, value in per_product.items()]
    rows.append(("a product, inside its PE", whole, 100.0))
    return Table(
        name="energy-product",
        caption=f"One product of `{config.operand_format}`: an accumulator is one of "
        f"{config.acc_depth} of {config.acc_width} bits in a bank of {config.drain_width} "
        "memories, read and written; a stationary entry, a value and an offset, is read.",
        header=("component", "pJ", "share, %"),
        rows=tuple(rows),
    )


REFERENCE = ConvShape(n=1, c=64, h=56, w=56, k=64, r=3, s=3, padding=(1, 1))
"""Layer at which the dense array's energy of a product is told; in a larger one it is the same."""
DEPTHS = (4096, 2304, 1024, 256)
"""Accumulators of a bank for which a product's energy is told."""


def dense_product_pj(config: ArrayConfig) -> float:
    """Return what a product costs in the dense array, on the chip, picojoules."""
    parts = dense_energy(config, REFERENCE, Pass.FORWARD)
    chip = sum(value for name, value in parts.items() if name != "DRAM")
    return chip / REFERENCE.dense_macs


def break_even_table(config: ArrayConfig) -> Table:
    """Return from what share of products removed zero skipping saves energy on the chip."""
    dense = dense_product_pj(config)
    rows = []
    for depth in DEPTHS:
        parts = energy_per_product(dataclasses.replace(config, acc_depth=depth))
        product = sum(parts.values())
        rows.append((depth, parts["accumulator RAM"], product, 100 * (1 - dense / product)))
    return Table(
        name="energy-break-even",
        caption=f"What smaller memories would change: a product of the dense array costs "
        f"{dense:.2f} pJ on the chip, so that skipping zeros saves energy there from this share of "
        "products removed; below 0 it does so from the first. Fewer accumulators mean more jobs, "
        "and more reads of the streams; that cost is not in this table.",
        header=(
            *("accumulators of a bank", "accumulator RAM, pJ"),
            *("product, pJ", "break-even, % of products removed"),
        ),
        rows=tuple(rows),
    )


def _relative_rows(
    results: Sequence[Estimated], buffer_bytes: int
) -> list[tuple[str, dict[str, float]]]:
    rows = []
    for result in results:
        dense = network_dense_energy(result, buffer_bytes=buffer_bytes)
        ours = network_energy(result, buffer_bytes=buffer_bytes)
        whole = sum(dense.values())
        for label, parts in ((result.case.label, ours), ("the dense array", dense)):
            rows.append((label, {name: value / whole for name, value in parts.items()}))
    return rows


def _energy_figure(results: Sequence[Estimated], buffer_bytes: int, name: str) -> Figure:
    rows = _relative_rows(results, buffer_bytes)

    def draw(width: int, class_: str) -> str:
        return charts.stacked_bars(
            rows,
            COMPONENTS,
            width=width,
            class_=class_,
            title=f"Energy of a training step, {name}",
            axis="energy of a training step; the dense array takes 1",
        )

    behind = f"a buffer of {buffer_bytes / MIB:g} MiB" if buffer_bytes else "no buffer"
    return Figure(
        name=f"energy-{name}",
        caption=f"Energy of a training step with {behind}, DRAM in the middle of its published "
        "range; each network above the dense array that computes the same step.",
        draw=draw,
    )


def _energy_table(results: Sequence[Estimated]) -> Table:
    rows = []
    for result in results:
        for buffer_bytes in (0, BUFFER_BYTES):
            ratios = [
                sum(network_dense_energy(result, buffer_bytes=buffer_bytes, position=at).values())
                / sum(network_energy(result, buffer_bytes=buffer_bytes, position=at).values())
                for at in (0, 0.5, 1)
            ]
            ours = network_energy(result, buffer_bytes=buffer_bytes)
            dense = network_dense_energy(result, buffer_bytes=buffer_bytes)
            chip, dense_chip = (
                sum(value for name, value in parts.items() if name != "DRAM")
                for parts in (ours, dense)
            )
            rows.append(
                (
                    result.case.label,
                    f"{buffer_bytes // MIB} MiB" if buffer_bytes else "none",
                    *(sum(ours.values()), sum(dense.values()), *ratios, dense_chip / chip),
                    *(ours[name] for name in COMPONENTS),
                )
            )
    return Table(
        name="energy",
        caption="Energy of a training step, mJ, and how many times less than the dense array with "
        "DRAM at the least, the middle and the most of its published range, and on the chip alone.",
        header=(
            *("network", "buffer", "ours, mJ", "dense, mJ"),
            *("less, DRAM least", "less, middle", "less, DRAM most", "less, on chip"),
            *(f"{name}, mJ" for name in COMPONENTS),
        ),
        rows=tuple(rows),
        columns=8,
        folded=True,
    )


def useful_products_table(results: Sequence[Estimated]) -> Table:
    """Return what a useful product costs on the chip, and how many times a dense one."""
    names = [name for name in COMPONENTS if name not in ("buffer", "DRAM")]
    rows = []
    for result in results:
        products = sum(p.accesses["products"] for p in result.passes)
        dense_products = sum(p.shape.dense_macs for p in result.passes)
        ours, dense = network_energy(result), network_dense_energy(result)
        parts = [ours[name] / _TO_MJ / products for name in names]
        of_dense = sum(dense[name] for name in names) / _TO_MJ / dense_products
        share = products / dense_products
        rows.append(
            (
                *(result.case.label, 100 * (1 - share), sum(parts), of_dense),
                *(sum(parts) / of_dense, 100 * (1 - of_dense / sum(parts)), *parts),
            )
        )
    return Table(
        name="energy-useful-product",
        caption="What a useful product costs on the chip, look-ups, loads, drains and the ports' "
        "queues included, without a buffer; a product of the dense array; how many times as much, "
        "and so what share of products must be removed before it saves energy there.",
        header=(
            *("network", "products removed, %", "a useful product, pJ", "dense, pJ", "times"),
            *("break-even, %", *(f"{name}, pJ" for name in names)),
        ),
        rows=tuple(rows),
        columns=6,
    )


_AREA_COLUMNS = (
    *("instances", "memory_bits", "area", "area_per_multiplier", "share_percent"),
    *("luts", "ecp5_flip_flops", "ecp5_multipliers", "block_rams"),
)


def area_table(area: Figures, config_name: str) -> Table:
    """Area of the accelerator's components, from what `gscn synth` measured.

    Raises
    ------
    InputError
        The configuration was not measured.
    """
    known = {report["name"]: report for report in area["reports"]}
    if config_name not in known:
        raise InputError(f"areas must be of {config_name}, not only of {', '.join(known)}")
    rows = [
        (row["component"], *(row[column] for column in _AREA_COLUMNS))
        for row in known[config_name]["rows"]
    ]
    return Table(
        name="area",
        caption=f"`{config_name}`: standard cells osu018 without memories, and ECP5 "
        "(docs/results/area.md, by `gscn synth`). Rows contain each other.",
        header=(
            *("component", "instances", "memory bits", "cell area, um2", "per multiplier, um2"),
            *("share, %", "ECP5 LUTs", "FFs", "MULT18", "DP16KD"),
        ),
        rows=tuple(rows),
    )


def memories_table(config: ArrayConfig) -> Table:
    """Return the memories of the array by kind, and the energy of an access."""
    rows = []
    for name, one in storage(config).items():
        access = HOROWITZ_45NM.access(one)
        rows.append(
            (
                *(name, one.count, one.depth, one.width),
                *(one.bits, one.bits / config.multipliers, access.read, access.write),
            )
        )
    return Table(
        name="memories",
        caption=f"Memories of {config.multipliers} multipliers: every PE has two banks of "
        "accumulators and a copy of the stationary window, entries and directory.",
        header=(
            *("memory", "instances", "rows", "bits of a row"),
            *("bits in all", "per multiplier", "a row read, pJ", "written, pJ"),
        ),
        rows=tuple(rows),
    )


def energy_and_area_section(
    results: Sequence[Estimated], config: ArrayConfig, area: Figures
) -> Section:
    """Energy by component beside the dense array's, its constants, and area."""
    per_product = energy_per_product(config)
    whole = sum(per_product.values())
    largest = max(per_product, key=per_product.__getitem__)
    content: list[Part] = [
        Paragraph(
            f"A product costs {whole:.1f} pJ inside its PE, of which the multiplication is "
            f"{100 * per_product['multiply'] / whole:.1f} % and the {largest} "
            f"{100 * per_product[largest] / whole:.0f} %. That is the price of having no crossbar: "
            f"every multiplier owns two banks of {config.acc_depth} accumulators, and each product "
            "reads and writes one of them. A dense array keeps its sums in registers, so that zero "
            "skipping must remove many products before it saves energy on the chip at all. Time "
            "and energy are different questions, and this page answers both."
        ),
        derived_table(config, HOROWITZ_45NM),
        memories_table(config),
    ]
    counted = [r for r in results if all(p.accesses is not None for p in r.passes)]
    if counted:
        content += [
            _energy_figure(counted, 0, "unbuffered"),
            _energy_figure(counted, BUFFER_BYTES, "buffered"),
            Paragraph(
                "The dense array is given all that can be given: operands and results move once, "
                "sums live in registers, an operand is read once per row or column of the array. "
                "Registers, their clock and control of PEs are as measured at gates "
                "(docs/results/gate-energy.md). Neither side pays for logic outside its PEs, for "
                "wires between them, the clock's among them, or for leakage; the last grows with "
                "time and would favour whoever is faster."
            ),
            useful_products_table(counted),
            _energy_table(counted),
        ]
    else:
        content.append(
            Paragraph(
                "Energy of whole networks needs the accesses that the statistical mode counts."
            )
        )
    content += [
        break_even_table(config),
        constants_table(HOROWITZ_45NM),
        Paragraph(
            "Area is measured by synthesis, not modelled, for 16 multipliers. Memories are outside "
            "the cell area: their bits are listed."
        ),
        area_table(area, "small int16"),
    ]
    return Section(key="energy", title="Energy and area", content=tuple(content))
