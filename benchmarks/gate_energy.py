"""Energy of a PE and of a dense PE at their gates, on recorded layers, beside the model's.

`python -m benchmarks.gate_energy --liberty FILE` maps both to the cells of a library, simulates
their netlists with delays on what they are given of three recorded layers, and prints the page
docs/results/gate-energy.md (`benchmarks.docs`), some ten minutes of a core. Needed: Icarus Verilog.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import gate_energy_text, gate_stimuli
from benchmarks.gate_activity import Activity, Stimulus, simulate
from benchmarks.gate_energy_text import DENSE, PARTS, REST, SPARSE
from benchmarks.gate_stimuli import (
    LAYERS,
    dense_operands,
    dense_stimulus,
    first_image,
    one_cluster,
    pe_stimulus,
    ports_of,
    record,
)
from benchmarks.pages import Page
from gscn.array import ArrayConfig
from gscn.cycles.passes import simulate_passes
from gscn.formats import FLOAT32
from gscn.perf.estimate.energy import count_accesses
from gscn.rtl_gen.cells import CellLibrary, read_cells
from gscn.rtl_gen.gates import ADDER, MULTIPLIER, Gates, Net, Timing, map_to_gates, timing
from gscn.rtl_gen.liberty import DEFAULT_LIBERTY, check_liberty
from gscn.system.cache import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from amaranth.lib import wiring

    from gscn.cosim.layer import PassInput

TOP = "gscn_part"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapped:
    """A component, mapped to cells."""

    gates: Gates
    times: Timing
    library: CellLibrary
    figures: dict[str, Any]
    """Its area and clock."""


def components(config: ArrayConfig) -> dict[str, Callable[[], wiring.Component]]:
    """Return what makes each of the components that are compared."""
    from gscn.hw.dense.dense_pe import DensePe
    from gscn.hw.pe.worker import Worker

    return {SPARSE: lambda: Worker(config=config), DENSE: lambda: DensePe(config=config)}


def mapped(make: Callable[[], wiring.Component], liberty: Path, *, place: bool) -> Mapped:
    """Map a component to cells, measure its area and its clock.

    Parameters
    ----------
    make
        What makes it.
    liberty
        Standard cells.
    place
        Whether it is placed on the ECP5.

    Raises
    ------
    InputError
        A tool or the library is missing.
    """
    from gscn.rtl_gen.area import measure_clock
    from gscn.rtl_gen.synthesis import synthesize
    from gscn.rtl_gen.verilog import to_verilog

    text = to_verilog(make, TOP).text
    library = read_cells(liberty)
    gates = map_to_gates(text, TOP, liberty)
    counts = synthesize(text, TOP, liberty=liberty).modules[TOP]
    clock = measure_clock(make(), TOP, liberty=liberty, place_and_route=place)
    flip_flops = clocked_by(gates, library)
    figures = {
        "area": counts.area,
        "multiplier_area": counts.multiplier_area,
        "queue_area": counts.memory_area,
        "memory_bits": counts.memory_bits,
        "cells": len(gates.cells),
        "flip_flops": flip_flops.total(),
        "gated": flip_flops.total() - flip_flops[gates.clock],
        "gates": len(flip_flops.keys() - {gates.clock}),
        "cell_delay_ns": clock.cell_delay_ns,
        "mhz": clock.placement and clock.placement.frequency_mhz,
        "seeds": clock.placement and clock.placement.seeds,
    }
    return Mapped(gates=gates, times=timing(gates, library), library=library, figures=figures)


def clocked_by(gates: Gates, library: CellLibrary) -> Counter[Net]:
    """Return how many flip-flops each net clocks, of those that clock any."""
    kinds = ((cell, library[cell.kind]) for cell in gates.cells)
    return Counter(
        cell.pins[kind.clock][0] for cell, kind in kinds if kind.clock and not kind.latch
    )


def part_of(path: Sequence[str]) -> str:
    """Return the part that a cell counts for, from the instances around it."""
    for one in (MULTIPLIER, ADDER):
        if path and path[-1].endswith(f"_{one}"):
            return one
    return PARTS.get(path[0], REST) if path else REST


def per_product(one: Mapped, given: Stimulus) -> dict[str, Any]:
    """Simulate a component at its gates; return energies and accesses per product.

    Raises
    ------
    InputError
        Icarus Verilog is missing.
    MismatchError
        An output differs from what the component's Verilog says.
    """
    from gscn.rtl_gen.gate_power import energy_by_part

    seen = simulate(one.gates, one.library, one.times, given)
    found = energy_by_part(
        one.gates, one.library, one.times,
        rises=seen.rises, falls=seen.falls, cycles=given.cycles, part=part_of,
    )  # fmt: skip
    return {
        "cycles": given.cycles,
        "products": given.products,
        "parts": {name: value / given.products for name, value in found.items()},
        "clocked": clocked_share(one, seen, given.cycles),
        "reads": _accesses(seen.reads, given.products),
        "writes": _accesses(seen.writes, given.products),
    }


def clocked_share(one: Mapped, seen: Activity, cycles: int) -> float:
    """Return in what share of their cycles flip-flops get the clock."""
    edges = {**seen.rises, one.gates.clock: cycles}
    flip_flops = clocked_by(one.gates, one.library)
    clocked = sum(count * edges[net] for net, count in flip_flops.items())
    return clocked / (cycles * flip_flops.total())


def _accesses(counts: Mapping[tuple[str, ...], int], products: int) -> dict[str, float]:
    """Return accesses per product, of all memories of an instance together."""
    found: dict[str, float] = defaultdict(float)
    for (instance, *_), count in counts.items():
        found[instance] += count / products
    return dict(found)


def modelled(config: ArrayConfig, one: PassInput) -> dict[str, float]:
    """Return what the model counts in a whole pass, per product.

    Parameters
    ----------
    config
        The array that runs it.
    one
        The pass.
    """
    from gscn.cosim.layer import prepare

    image, _ = prepare(config, one, 32, FLOAT32)
    result = simulate_passes(
        config, image.image, image.descriptors_addr, image.descriptor_count, image.memory_bytes,
        bursts=True,
    )  # fmt: skip
    accesses = count_accesses(image, result)
    return {name: getattr(accesses, name) / accesses.products for name in ("lookups", "drained")}


def measure(liberty: Path, inputs: Sequence[PassInput], *, place: bool = True) -> dict[str, Any]:
    """Return what the page shows, as plain JSON values.

    Parameters
    ----------
    liberty
        Standard cells.
    inputs
        Passes of one image each, operands of `gate_stimuli.one_cluster`.
    place
        Whether both PEs are placed on the ECP5.
    """
    config = one_cluster()
    parts = {name: mapped(make, liberty, place=place) for name, make in components(config).items()}
    sparse, dense = parts[SPARSE], parts[DENSE]
    rows = []
    for one in inputs:
        dense_given = {
            zeros: dense_stimulus(dense_operands(one, zeros=zeros), ports_of(dense.gates), config)
            for zeros in (False, True)
        }
        rows.append(
            {
                "layer": one.layer,
                "pass": str(one.which),
                "model": modelled(config, one),
                "sparse": per_product(sparse, pe_stimulus(one, ports_of(sparse.gates))),
                "dense": per_product(dense, dense_given[False]),
                "dense_zeros": per_product(dense, dense_given[True]),
            }
        )
    return {
        "config": config.to_dict(),
        "voltage": sparse.library.voltage,
        "components": {name: one.figures for name, one in parts.items()},
        "layers": rows,
    }


def recorded_inputs() -> list[PassInput]:
    """Train, and return the passes of `LAYERS`, of one image each."""
    from gscn.cosim.layer import traced_inputs
    from gscn.golden.traces.trace import load_trace

    with temporary_folder("gscn-synth-") as place:
        record(place / "trace")
        trace = load_trace(place / "trace")
        found = [
            one
            for layer, which in LAYERS.items()
            for one in traced_inputs(trace, one_cluster(), [layer], which)
        ]
    return [first_image(one) for one in found]


def make(liberty: Path = DEFAULT_LIBERTY) -> dict[str, Any]:
    """Compute what the page shows.

    Raises
    ------
    InputError
        A tool or the library is missing.
    """
    from gscn.rtl_gen.area_text import tool_versions

    liberty = check_liberty(liberty)
    tools = tool_versions(liberty, place=True)
    data = measure(liberty, recorded_inputs())
    settings = {
        name.lower(): getattr(gate_stimuli, name)
        for name in ("NETWORK", "METHOD", "SPARSITY", "BATCH", "ITERATIONS")
    }
    return {"tools": tools, "settings": settings, **data}


PAGE = Page(
    name="gate-energy",
    make=make,
    render=gate_energy_text.render,
    parts=("hardware", "lowering", "model", "training"),
    configs=(gate_stimuli.CONFIG,),
    quotes=gate_energy_text.quotes,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the page of another library."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate_energy", description=__doc__)
    parser.add_argument("--liberty", type=Path, default=DEFAULT_LIBERTY, metavar="FILE")
    print(gate_energy_text.render(make(parser.parse_args(arguments).liberty)))


if __name__ == "__main__":
    main(sys.argv[1:])
