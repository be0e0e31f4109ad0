"""Section about memory: compressed sizes, rooflines, and what bandwidth and buffers change."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gscn.conv import Pass
from gscn.perf.estimate.buffer import BUFFERS
from gscn.perf.report.data import cases
from gscn.perf.report.data.estimated import PASS_NAMES, Estimated
from gscn.perf.report.data.published import GTX_1080_TI
from gscn.perf.report.data.rows import PassRow
from gscn.perf.report.drawing import rooflines
from gscn.perf.report.drawing.page import Figure, Paragraph, Section, Table

MIB = 1 << 20


def limited_speedup(
    passes: Sequence[PassRow], dram_bytes_per_cycle: float, buffer_bytes: int
) -> float:
    """Return the training speed-up over dense where DRAM may be slower than the ports.

    Every pass takes the longer of its own cycles and of its bytes over the bandwidth; so does the
    dense array, which moves each byte once whatever the buffer.
    """
    ours = sum(max(p.cycles, p.dram_bytes(buffer_bytes) / dram_bytes_per_cycle) for p in passes)
    dense = sum(
        max(p.dense_cycles, p.dense_traffic.total_bytes / dram_bytes_per_cycle) for p in passes
    )
    return dense / ours


def dram_bound_share(
    passes: Sequence[PassRow], dram_bytes_per_cycle: float, buffer_bytes: int
) -> float:
    """Return the share of the time that is spent in passes for which DRAM is the limit."""
    times = [(p.cycles, p.dram_bytes(buffer_bytes) / dram_bytes_per_cycle) for p in passes]
    total = sum(max(pair) for pair in times)
    return sum(dram for own, dram in times if dram > own) / total


def gtx_share(multipliers: int) -> float:
    """Return the DRAM bytes per cycle that a GTX 1080 Ti has for so many of its lanes."""
    return GTX_1080_TI.bytes_per_cycle_and_lane * multipliers


def _roofline(result: Estimated) -> Figure:
    config = result.config
    order = list(Pass)
    points = [
        rooflines.Point(
            x=p.useful_products / p.ports.total_bytes,
            y=p.useful_products / p.cycles,
            series=order.index(p.which),
            label=f"{p.layer}, {PASS_NAMES[p.which]}",
        )
        for p in result.passes
    ]
    port = config.port_bytes_per_cycle
    share = gtx_share(config.multipliers)
    roofs = [
        rooflines.Roof(
            label=f"both channels of the port, {2 * port} B/cycle",
            short=f"port, {2 * port} B/cycle",
            bytes_per_cycle=2 * port,
        ),
        rooflines.Roof(
            label=f"one channel, {port} B/cycle", short=f"{port} B/cycle", bytes_per_cycle=port
        ),
        rooflines.Roof(
            label=f"DRAM of a GTX 1080 Ti per lane, {share:.2f} B/cycle",
            short=f"GTX DRAM, {share:.2f} B/cycle",
            bytes_per_cycle=share,
        ),
    ]

    def draw(width: int, class_: str) -> str:
        return rooflines.roofline(
            points,
            [PASS_NAMES[which] for which in order],
            roofs,
            (f"{config.multipliers} multipliers", float(config.multipliers)),
            width=width,
            class_=class_,
            title=f"Roofline of {result.case.label}",
            axes=(
                "useful products per byte at the ports",
                "useful products per cycle (10^9/s at 1 GHz)",
            ),
        )

    below = sum(p.useful_products / p.cycles < 0.9 * config.multipliers for p in result.passes)
    knee = config.multipliers / share
    left = sum(point.x < knee for point in points)
    return Figure(
        name=f"roofline-{result.case.key}",
        caption=f"{result.case.label}, one mark per layer and pass. {below} of {len(points)} marks "
        f"lie more than 10 % below the multipliers' roof. The lowest slope is the bandwidth that "
        f"a GTX 1080 Ti has per lane; {left} of {len(points)} marks lie left of its knee at "
        f"{knee:.1f} products per byte: with that DRAM and no buffer, they would be bound by it.",
        draw=draw,
    )


def _bound_table(results: Sequence[Estimated]) -> Table:
    rows = []
    for result in results:
        share = gtx_share(result.config.multipliers)
        rows.append(
            (
                result.case.label,
                result.speedup("training"),
                *(limited_speedup(result.passes, share, size) for size in BUFFERS),
                *(100 * dram_bound_share(result.passes, share, size) for size in BUFFERS),
            )
        )
    share = gtx_share(results[0].config.multipliers)
    sizes = [f"{size >> 10} KiB" if size else "no buffer" for size in BUFFERS]
    return Table(
        name="dram",
        caption=f"Training speed-up over dense with the ports alone, and with DRAM of "
        f"{share:.2f} bytes per cycle behind them (the GTX 1080 Ti's 484 GB/s at 1582 MHz, for as "
        "many of its 3584 lanes as there are multipliers), for ours and for the dense array; then "
        "the share of our time in passes that DRAM bounds.",
        header=(
            *("network", "ports alone"),
            *(f"DRAM, {size}" for size in sizes),
            *(f"DRAM-bound, {size}, %" for size in sizes),
        ),
        rows=tuple(rows),
    )


def _size_table(results: Sequence[Estimated]) -> Table:
    rows = []
    for result in results:
        for which in Pass:
            chosen = [p for p in result.passes if p.which is which]
            ports = sum(p.ports.total_bytes for p in chosen)
            least = sum(p.compressed.total_bytes for p in chosen)
            dense = sum(p.dense_traffic.total_bytes for p in chosen)
            rows.append(
                (
                    *(result.case.label, PASS_NAMES[which], dense / 1e6, least / 1e6, ports / 1e6),
                    *(ports / least, least / dense),
                    sum(p.useful_products for p in chosen) / ports,
                    *(sum(p.dram_reads[size] for p in chosen) / 1e6 for size in BUFFERS[1:]),
                    max(p.smaller_bytes for p in chosen) / MIB,
                )
            )
    return Table(
        name="traffic",
        caption="Bytes of a training step, all layers of a pass: dense (2 bytes a value), "
        "compressed (operands as strips, results dense in 2), what the ports move: never less than "
        "compressed, where the closed form that scales samples would say so; and what DRAM "
        "delivers behind buffers.",
        header=(
            *("network", "pass", "dense, MB", "compressed, MB", "ports, MB"),
            *("reads of a byte (ports / compressed)", "compressed / dense"),
            "products per byte at the ports",
            *(f"read behind {size >> 10} KiB, MB" for size in BUFFERS[1:]),
            "largest layer's smaller operand, MiB",
        ),
        rows=tuple(rows),
        folded=len(rows) > 12,
    )


def _drawn(results: Sequence[Estimated]) -> Sequence[Estimated]:
    """Return the networks whose rooflines are drawn: one that prunes, one that does both."""
    keys = (cases.SWAT_90.key, cases.ANT_CASES[-1].key)
    return [result for result in results if result.case.key in keys] or results[:1]


def memory_hierarchy_section(results: Sequence[Estimated]) -> Section:
    """Rooflines, sizes, DRAM bandwidth and a buffer."""
    config = results[0].config
    share = gtx_share(config.multipliers)
    ratios = [
        sum(p.ports.total_bytes for p in r.passes) / sum(p.compressed.total_bytes for p in r.passes)
        for r in results
    ]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return Section(
        key="memory",
        title="Memory: what bounds which layer",
        content=(
            Paragraph(
                f"There is no buffer in the design: every byte at the memory port is a byte of "
                f"DRAM. The port moves {config.port_bytes_per_cycle} bytes per cycle in each "
                f"direction for {config.multipliers} multipliers, "
                f"{2 * config.port_bytes_per_cycle / share:.0f} times what a GTX 1080 Ti has per "
                "lane. A nonzero takes 2.1 (dense) to 4 bytes: its value, and its share of two "
                "masks."
            ),
            *(_roofline(result) for result in _drawn(results)),
            Paragraph(
                f"Tiles and streams are read more than once: the ports move {mean:.1f} times "
                "(geometric mean over the networks) the bytes of operands and results themselves. "
                "Each operand is in memory once, so that a buffer between the ports and DRAM finds "
                "again what it still holds: lines of 64 bytes, the one used longest ago replaced. "
                "The columns with buffers are the read bursts of samples, in the order in which "
                "the arbiters take them, replayed through such a buffer."
            ),
            _bound_table(results),
            _size_table(results),
        ),
    )
