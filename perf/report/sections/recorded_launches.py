"""Section about memory on launches of recorded layers: what a buffer saves, byte for byte.

Estimates of full networks know densities; a launch of a recorded layer knows addresses. Here every
reference of the launch is replayed through buffers of several sizes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gscn import lowering
from gscn.config import AcceleratorConfig
from gscn.conv import Pass
from gscn.cycles import model
from gscn.enums import takes_text
from gscn.golden.traces.trace import Trace
from gscn.perf.estimate import memory
from gscn.perf.estimate.energy import COMPONENTS, Accesses, count_accesses, energy
from gscn.perf.report.data.cases import launch_digest
from gscn.perf.report.data.estimated import PASS_NAMES
from gscn.perf.report.drawing import charts
from gscn.perf.report.drawing.page import Figure, Paragraph, Section, Table
from gscn.program import OutputFormat
from gscn.system.cache import keep_result, kept_result

BUFFERS = (64 << 10, 256 << 10, 1 << 20)
"""Capacities through which launches are replayed, bytes."""
LAYERS = ("stage2.0.conv2", "stage3.0.conv2", "stage4.0.shortcut.0")
"""Of ResNet-18 for 32x32 images: 3x3 layers of two sizes, and a 1x1 of stride 2."""
Launch = Mapping[str, object]
"""What is kept of one launch, as JSON."""


@takes_text
def measure_launch(
    trace: Trace, layer: str, which: Pass, config: AcceleratorConfig
) -> dict[str, object]:
    """Lower a recorded pass, run the cycle model, and replay its references.

    Cycles and bytes do not depend on values, so operands are taken as 0 and 1.
    """
    recorded, shape = trace.load_pass(layer, which), trace.entry(layer).shape
    first, second = ((x != 0).astype(np.int64) for x in (recorded.first, recorded.second))
    densities = [float(np.count_nonzero(x) / x.size) for x in (first, second)]
    out = OutputFormat(width=16, shift=0)
    program = lowering.lower(config, shape, which, first, second, out)
    result = model.simulate(program)
    ports = memory.port_traffic(config, result)
    compressed = memory.compressed_bytes(shape, which, *densities)
    return {
        "layer": layer,
        "pass": str(which),
        "densities": densities,
        "plan": program.plan,
        "cycles": result.cycles,
        "useful_products": program.useful_products,
        "accesses": dataclasses.asdict(count_accesses(program, result)),
        "ports": dataclasses.asdict(ports),
        "buffered_read_bytes": {
            str(size): memory.buffered_traffic(program, size).read_bytes for size in BUFFERS
        },
        "distinct_read_bytes": memory.compulsory_traffic(program).read_bytes,
        "compressed": dataclasses.asdict(compressed),
        "dense": dataclasses.asdict(memory.dense_bytes(shape, which)),
    }


def measure_launches(
    trace: Trace,
    layers: Sequence[str],
    config: AcceleratorConfig,
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
    """Return bytes read: by the ports, from DRAM behind each buffer, and every line once."""
    ports = launch["ports"]["read_bytes"]
    behind = (min(ports, launch["buffered_read_bytes"][str(size)]) for size in BUFFERS)
    return (ports, *behind, launch["distinct_read_bytes"])


_SERIES = (
    "ports today",
    *(f"buffer of {size >> 10} KiB" for size in BUFFERS),
    "every line once",
)


def launches_table(launches: Sequence[Launch]) -> Table:
    """Bytes read of every launch, and energies of a product."""
    rows = []
    for launch in launches:
        reads = _reads(launch)
        rows.append(
            (
                *(_label(launch), *launch["densities"], launch["cycles"]),
                launch["dense"]["read_bytes"] / 1e6,
                launch["compressed"]["read_bytes"] / 1e6,
                *(value / 1e6 for value in reads),
                launch["ports"]["write_bytes"] / 1e6,
                reads[-1] / launch["compressed"]["read_bytes"],
            )
        )
    return Table(
        name="launches",
        caption="Bytes read of launches of recorded layers, MB: dense operands, compressed "
        "operands once, and what is read today and behind buffers (least recently used replaced, "
        "lines of 64 bytes, in the order of the queue). **Copies**: distinct bytes of the image "
        "over the compressed operands; the lowering writes a stream anew for each tile that "
        "needs other words of it.",
        header=(
            *("launch", "first operand's density", "second operand's density", "cycles"),
            *("dense, MB", "compressed, MB", *(f"{name}, MB" for name in _SERIES)),
            *("written, MB", "copies"),
        ),
        rows=tuple(rows),
    )


def energy_rows(
    launches: Sequence[Launch], config: AcceleratorConfig
) -> list[tuple[str, dict[str, float]]]:
    """Return the energy of each launch per useful product by component, picojoules."""
    rows = []
    for launch in launches:
        parts = energy(config, Accesses(**launch["accesses"]))
        products = launch["useful_products"]
        rows.append((_label(launch), {name: value / products for name, value in parts.items()}))
    return rows


def recorded_launches_section(
    launches: Sequence[Launch], config: AcceleratorConfig, source: str
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
            values=tuple(v / launch["compressed"]["read_bytes"] for v in _reads(launch)),
        )
        for launch in launches
    ]
    per_product = energy_rows(launches, config)
    most = max(bar.values[0] / bar.values[-1] for bar in bars)
    copies = [bar.values[-1] for bar in bars]

    def draw_bytes(width: int, class_: str) -> str:
        return charts.grouped_bars(
            bars,
            _SERIES,
            width=width,
            class_=class_,
            title="Bytes read of recorded launches over their compressed operands",
            axis="bytes read over compressed operands",
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
                f"{source}. Clusters that ask for the same burst share it, and keep a tile while "
                f"its address stays, so that the ports read at most {most:.1f} times what is "
                "distinct in the image: a small buffer is all that can help there. The larger "
                f"factor is in the image itself, {min(copies):.1f} to {max(copies):.1f} bytes "
                "for each compressed one, and no buffer behind the ports can remove it: a stream "
                "is written once for every group of tiles that reads it, in that group's order "
                "and coordinates."
            ),
            Figure(
                name="launch-bytes",
                caption="Bytes read over the compressed operands, each once (1).",
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
