"""Section about memory on launches of recorded layers: what a buffer saves, byte for byte.

Estimates of full networks know densities; a pass of a recorded layer knows addresses. Here the read
bursts of the pass are replayed through buffers of several sizes (`perf.estimate.buffer`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import Pass
from gscn.enums import takes_text
from gscn.golden.traces.trace import Trace
from gscn.perf.estimate import memory
from gscn.perf.estimate.buffer import BUFFERS
from gscn.perf.estimate.energy import COMPONENTS, Accesses, energy
from gscn.perf.estimate.pass_cost import measure_operands
from gscn.perf.report.data.cases import launch_digest
from gscn.perf.report.data.estimated import PASS_NAMES
from gscn.perf.report.drawing import charts
from gscn.perf.report.drawing.page import Figure, Paragraph, Section, Table
from gscn.system.cache import keep_result, kept_result

LAYERS = ("stage2.0.conv2", "stage3.0.conv2", "stage4.0.shortcut.0")
"""Of ResNet-18 for 32x32 images: 3x3 layers of two sizes, and a 1x1 of stride 2."""
Launch = Mapping[str, object]
"""What is kept of one launch, as JSON."""


@takes_text
def measure_launch(trace: Trace, layer: str, which: Pass, config: ArrayConfig) -> dict[str, object]:
    """Lower a recorded pass, run the cycle model, and replay its read bursts.

    Cycles and bytes do not depend on values.
    """
    recorded, shape = trace.load_pass(layer, which), trace.entry(layer).shape
    first, second = (x != 0 for x in (recorded.first, recorded.second))
    densities = [float(np.count_nonzero(x) / x.size) for x in (first, second)]
    found = measure_operands(config, shape, which, first, second)
    compressed = memory.compressed_bytes(
        shape, which, *densities, value_bytes=config.format.width // 8
    )
    return {
        "layer": layer,
        "pass": str(which),
        "densities": densities,
        "cycles": found.cycles,
        "useful_products": found.useful_products,
        "accesses": dataclasses.asdict(found.accesses),
        "ports": {"read_bytes": found.read_bytes, "write_bytes": found.write_bytes},
        "buffered_read_bytes": {str(size): found.dram_reads[size].total for size in BUFFERS[1:]},
        "operand_bytes": found.operand_bytes,
        "compressed": dataclasses.asdict(compressed),
        "dense": dataclasses.asdict(memory.dense_bytes(shape, which)),
    }


def measure_launches(
    trace: Trace,
    layers: Sequence[str],
    config: ArrayConfig,
    cache: Path,
    *,
    measure: Callable[..., dict[str, object]] = measure_launch,
    progress: Callable[[str], None] | None = None,
) -> list[Launch]:
    """Return what is known of every recorded pass of some layers, kept ones from `cache`.

    Parameters
    ----------
    trace
        Recorded training step.
    layers
        Names in the trace.
    config
        The accelerator.
    cache
        Folder of kept results.
    measure
        Measures one pass.
    progress
        Called with the name of what has to be computed.

    Raises
    ------
    InputError
        A layer that the trace lacks, or a file that cannot be written.
    """
    sources, launches = launch_digest(), []
    for layer in layers:
        entry = trace.entry(layer)
        for which in entry.densities:
            follows_from = [entry.sha256, str(which), config.to_dict(), sources, list(BUFFERS)]
            digest = hashlib.sha256(json.dumps(follows_from).encode()).hexdigest()[:16]
            path = cache / f"launch-{digest}.json"
            launch = kept_result(path)
            if launch is None:
                if progress is not None:
                    progress(f"{layer}, {which}")
                launch = keep_result(path, measure(trace, layer, which, config))
            launches.append(launch)
    return launches


def _label(launch: Launch) -> str:
    return f"{launch['layer']}, {PASS_NAMES[Pass(launch['pass'])]}"


def _reads(launch: Launch) -> tuple[float, ...]:
    """Return bytes read: by the ports, and from DRAM behind each buffer."""
    behind = (launch["buffered_read_bytes"][str(size)] for size in BUFFERS[1:])
    return (launch["ports"]["read_bytes"], *behind)


_SERIES = ("ports", *(f"buffer of {size >> 10} KiB" for size in BUFFERS[1:]))


def launches_table(launches: Sequence[Launch]) -> Table:
    """Bytes read of every launch, and energies of a product."""
    rows = []
    for launch in launches:
        reads = _reads(launch)
        rows.append(
            (
                *(_label(launch), *launch["densities"], launch["cycles"]),
                launch["dense"]["read_bytes"] / 1e6,
                launch["operand_bytes"] / 1e6,
                *(value / 1e6 for value in reads),
                launch["ports"]["write_bytes"] / 1e6,
                *(value / launch["operand_bytes"] for value in reads),
            )
        )
    return Table(
        name="launches",
        caption="Bytes read of passes of recorded layers, MB: dense operands, operands in memory "
        "with their tables, and what is read by the ports and behind buffers (lines of 64 bytes, "
        "the one used longest ago replaced, in the order of the arbiters); then the same per byte "
        "of the operands.",
        header=(
            *("launch", "first operand's density", "second operand's density", "cycles"),
            *("dense, MB", "in memory, MB", *(f"{name}, MB" for name in _SERIES)),
            *("written, MB", *(f"{name}, per byte" for name in _SERIES)),
        ),
        rows=tuple(rows),
    )


def energy_rows(
    launches: Sequence[Launch], config: ArrayConfig
) -> list[tuple[str, dict[str, float]]]:
    """Return the energy of each launch per useful product by component, picojoules."""
    rows = []
    for launch in launches:
        parts = energy(config, Accesses(**launch["accesses"]))
        products = launch["useful_products"]
        rows.append((_label(launch), {name: value / products for name, value in parts.items()}))
    return rows


def recorded_launches_section(
    launches: Sequence[Launch], config: ArrayConfig, source: str
) -> Section:
    """Return the section.

    Parameters
    ----------
    launches
        At least one.
    config
        The accelerator.
    source
        What the layers were recorded from, in words.
    """
    bars = [
        charts.Bar(
            label=_label(launch),
            values=tuple(v / launch["operand_bytes"] for v in _reads(launch)),
        )
        for launch in launches
    ]
    per_product = energy_rows(launches, config)
    means = [
        math.exp(sum(math.log(bar.values[at]) for bar in bars) / len(bars))
        for at in range(len(_SERIES))
    ]
    told = ", ".join(f"{mean:.2f} ({name})" for name, mean in zip(_SERIES, means, strict=True))

    def draw_bytes(width: int, class_: str) -> str:
        return charts.grouped_bars(
            bars,
            _SERIES,
            width=width,
            class_=class_,
            title="Bytes read of recorded passes over those of their operands",
            axis="bytes read over operands in memory",
            reference=1.0,
        )

    def draw_energy(width: int, class_: str) -> str:
        return charts.stacked_bars(
            per_product,
            COMPONENTS,
            width=width,
            class_=class_,
            title="Energy per useful product of recorded launches",
            axis="pJ per useful product, no buffer",
        )

    return Section(
        key="launches",
        title="Bytes of real launches",
        content=(
            Paragraph(
                f"{source}. Every operand is in memory once, as strips. Clusters that ask for the "
                "same burst at the same time share it, and keep a stationary tile that fits; what "
                "else is read again a buffer behind the ports may still hold. Bytes read per byte "
                f"of operands, geometric means over these passes: {told}."
            ),
            Figure(
                name="launch-bytes",
                caption="Bytes read over those of the operands, each once (1).",
                draw=draw_bytes,
            ),
            launches_table(launches),
            Figure(
                name="launch-energy",
                caption="Energy per useful product of the same launches, by component, with every "
                "byte of the ports from DRAM.",
                draw=draw_energy,
            ),
        ),
    )
