"""The page of energies at gates: docs/results/gate-energy.md."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.gate_activity import ARRIVAL_NS
from benchmarks.markdown import percent, table
from gscn.rtl_gen.clock_gates import LEAST_GATED
from gscn.rtl_gen.gate_power import CLOCK, INPUTS
from gscn.rtl_gen.gates import ADDER, EDGE_NS, MULTIPLIER

SPARSE, DENSE = "PE", "dense PE"
REST = "registers and control"
PARTS = {
    "lookup": "look-up and its queue",
    "words": "queue of words",
    "walker": "walker",
    "accumulators": "accumulators",
}
"""Parts of a PE but for its multiplier and adder: instances, and their names."""
SHOWN = (MULTIPLIER, ADDER, "accumulators", "walker", *("look-up and its queue", "queue of words"))
"""Columns of a table of parts, before what belongs to none of them."""
OPERANDS = {
    "sparse": SPARSE,
    "dense": f"{DENSE}, nonzeros alone",
    "dense_zeros": f"{DENSE}, zeros as recorded",
}
"""What was simulated of a layer: keys of its figures, and names."""


def total(row: Mapping[str, Any], key: str) -> float:
    """Return the energy of a product, picojoules."""
    return sum(row[key]["parts"].values())


def multiply_add(row: Mapping[str, Any]) -> float:
    """Return what multiplier and adder of the dense PE take for a product, picojoules."""
    parts = row["dense"]["parts"]
    return parts[MULTIPLIER] + parts[ADDER]


def control(row: Mapping[str, Any], key: str, parts: Sequence[str]) -> float:
    """Return what parts take for a product, in products of the dense PE's multiplier and adder."""
    return sum(row[key]["parts"].get(name, 0.0) for name in parts) / multiply_add(row)


def coefficients(layers: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return what the model takes from here: means over the layers, in multiply-adds.

    Of a PE: beside multiplier and adder for each product, for each look-up, and the clock for each
    product. Of a dense PE: registers and control, and the clock, for each product.
    """
    return {
        "product": statistics.fmean(
            control(row, "sparse", ("accumulators", "walker", REST, INPUTS)) for row in layers
        ),
        "lookup": statistics.fmean(
            control(row, "sparse", (PARTS["lookup"], PARTS["words"])) / lookups(row)
            for row in layers
        ),
        "clock": statistics.fmean(control(row, "sparse", (CLOCK,)) for row in layers),
        "dense product": statistics.fmean(control(row, "dense", (REST, INPUTS)) for row in layers),
        "dense clock": statistics.fmean(control(row, "dense", (CLOCK,)) for row in layers),
    }


def lookups(row: Mapping[str, Any]) -> float:
    """Return the look-ups per product that were simulated: each reads both directories."""
    return row["sparse"]["reads"]["lookup"] / 2


def compared(data: Mapping[str, Any]) -> list[dict[str, float]]:
    """Return, for each layer, a product in the PE's cells by gates and by the model.

    Both are in multiply-adds: at gates of the dense PE's on the layer's nonzeros, in the model of
    its own table, where a product is one. `model` is with what `coefficients` says besides.
    """
    known = coefficients(data["layers"])
    return [
        {
            "gates": total(row, "sparse") / multiply_add(row),
            "arithmetic": 1.0,
            "model": 1 + known["product"] + known["clock"] + known["lookup"] * lookups(row),
        }
        for row in data["layers"]
    ]


def name_of(row: Mapping[str, Any]) -> str:
    """Return layer and pass."""
    return f"{row['layer']} {row['pass']}"


def _difference(row: Mapping[str, float], name: str) -> str:
    # nothing less than nothing
    return f"{round(100 * (row['gates'] / row[name] - 1)) + 0:+d} %"


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def components_table(data: Mapping[str, Any]) -> str:
    """Return a table of both PEs: area, clock, and energy of a product by layer."""
    keys = {SPARSE: "sparse", DENSE: "dense"}
    header = [
        "component", "cells", "flip-flops", "gated", "area, um2", "multiplier, um2", "queues, um2",
        "memory bits", "cell delay, ns", "ECP5, MHz",
        *(f"pJ, {name_of(row)}" for row in data["layers"]),
    ]  # fmt: skip
    rows = [
        [
            name, _number(one["cells"]), _number(one["flip_flops"]), _number(one["gated"]),
            _number(one["area"]), _number(one["multiplier_area"]), _number(one["queue_area"]),
            _number(one["memory_bits"]), _number(one["cell_delay_ns"], 2), _number(one["mhz"], 1),
            *(_number(total(row, keys[name]), 1) for row in data["layers"]),
        ]
        for name, one in data["components"].items()
    ]  # fmt: skip
    return table(header, rows)


def parts_table(data: Mapping[str, Any]) -> str:
    """Return a table of the energy of a product by part."""
    header = [
        "layer", "of", "products", "cycles", *SHOWN, REST, CLOCK, "together",
        "flip-flops that get the clock",
    ]  # fmt: skip
    rows = [
        [
            name_of(row), name, str(row[key]["products"]), str(row[key]["cycles"]),
            *(_number(row[key]["parts"].get(part, 0.0), 1) for part in SHOWN),
            _number(sum(row[key]["parts"].get(part, 0.0) for part in (REST, INPUTS)), 1),
            _number(row[key]["parts"][CLOCK], 1), _number(total(row, key), 1),
            percent(row[key]["clocked"]),
        ]
        for row in data["layers"]
        for key, name in OPERANDS.items()
    ]  # fmt: skip
    return table(header, rows)


def comparison_table(data: Mapping[str, Any]) -> str:
    """Return a table of a product in the cells of a PE, by gates and by the model."""
    header = [
        "layer", "gates", "multiplication and addition", "gates, more by",
        "with control and clock", "gates, more by",
    ]  # fmt: skip
    rows = [
        [
            name_of(row), _number(one["gates"], 2), _number(one["arithmetic"], 2),
            _difference(one, "arithmetic"), _number(one["model"], 2), _difference(one, "model"),
        ]
        for row, one in zip(data["layers"], compared(data), strict=True)
    ]  # fmt: skip
    return table(header, rows)


def accesses_table(data: Mapping[str, Any]) -> str:
    """Return a table of accesses of the PE's memories per product."""
    header = [
        "layer", "entries read", "look-ups", "look-ups, model", "accumulators read", "written",
    ]  # fmt: skip
    rows = []
    for row in data["layers"]:
        reads, writes = row["sparse"]["reads"], row["sparse"]["writes"]
        rows.append(
            [
                name_of(row), _number(reads["walker"], 3), _number(lookups(row), 3),
                _number(row["model"]["lookups"], 3), _number(reads["accumulators"], 3),
                _number(writes["accumulators"], 3),
            ]
        )  # fmt: skip
    return table(header, rows)


def render(data: Mapping[str, Any]) -> str:
    """Return the page as Markdown."""
    # Long: the page, in the order in which it is read.
    settings, known = data["settings"], coefficients(data["layers"])
    beyond = [one for one in compared(data) if abs(one["gates"] / one["arithmetic"] - 1) > 0.2]
    zeros = [total(row, "dense_zeros") / total(row, "dense") for row in data["layers"]]
    tax = [total(row, "sparse") / total(row, "dense") for row in data["layers"]]
    left = [total(row, "dense_zeros") / total(row, "sparse") for row in data["layers"]]
    clocked = [row["sparse"]["clocked"] for row in data["layers"]]
    clock = [row["sparse"]["parts"][CLOCK] / total(row, "sparse") for row in data["layers"]]
    pe, dense = (data["components"][name] for name in (SPARSE, DENSE))
    versions = ", ".join(f"{name} {version}" for name, version in data["tools"].items())
    return f"""# Energy at gates

What a product takes in the cells of a PE (`hw.pe.worker`) and in those of a dense array's
(`hw.dense`), which has an equal multiplier and a sum that stays in a register; both int16, sums of
{data["config"]["acc_width"]} bits. `make docs PAGE=gate-energy`, or with another library
`python -m benchmarks.gate_energy --liberty FILE`.

* **Netlist**: each module mapped by itself, multiplier and adder apart, as in [area](area.md).
  Queues are flip-flops and cells. What would be macros stays a module without energy: its accesses
  are counted.
* **Operands**: {settings["network"]} trained for {settings["iterations"]} iterations of
  {settings["batch"]} images by {settings["method"]} at {settings["sparsity"]:.0%}, the first image
  of the next. The PE is one of a cluster of four that runs the pass on the generated Verilog; its
  ports are recorded, from its first word on, loads and drains included. The dense PE gets rows and
  columns of the same pass as a product of matrices: once the nonzeros of both, in their order, and
  once what an array that skips none would get, the zeros of the method among them.
* **Activity**: Icarus Verilog, every gate with its delay in the library at its load, so that
  changes within a cycle count; in every cycle all outputs are compared with the Verilog's. Inputs
  change {ARRIVAL_NS} ns after the clock, transitions of inputs and clock take {EDGE_NS} ns.
* **Energy** of a change: half of the load times the square of {data["voltage"]:g} V, and the
  library's tables of what the cell takes inside. Without wires, without a clock tree, without
  leakage.
* **Clock**: flip-flops of one enable, {LEAST_GATED} or more, get the clock through a gate when they
  are written, all others in every cycle. A gate is a latch, an inverter and an AND of the library;
  what they take counts for the clock.
* **Tools**: {versions}, Icarus Verilog.

## Both PEs

Area is without memories; queues are no part of it, as in [area](area.md); cells and flip-flops are
all that energy is of. Energy is of a product in the cells; that of the dense PE is of nonzeros
alone.

{components_table(data)}

A product of the PE takes {min(tax):.2f} to {max(tax):.2f} times one of the dense PE, its memories
left out.

## By part

Picojoules per product; flip-flops that get the clock, of all, in the mean of the cycles.

{parts_table(data)}

The clock is {percent(min(clock))} to {percent(max(clock))} of the PE's. Of its {pe["flip_flops"]:,}
flip-flops {pe["gated"]:,} are behind {pe["gates"]} gates; {percent(min(clocked))} to
{percent(max(clocked))} of all get the clock in a cycle. Of the dense PE's {dense["flip_flops"]:,}
there are {dense["gated"]:,} behind {dense["gates"]}.

A dense array that multiplies what the methods left, zeros in place, takes {percent(min(zeros))} to
{percent(max(zeros))} of what it takes for dense operands: a factor that stays 0 changes nothing in
the multiplier. Energies of the dense array elsewhere, in [performance](performance.md), are of
dense operands. At the gates of PEs alone, skipping products saves energy from
{percent(1 - 1 / min(tax))} to {percent(1 - 1 / max(tax))} of them removed against dense operands,
and from {percent(1 - max(left))} to {percent(1 - min(left))} against the same zeros in place.

## Against the model

The model (`perf.estimate.energy`) is of 45 nm, the cells are of 180 nm; so both are in units of
their own: a product of the dense PE's multiplier and adder on the layer's nonzeros, and a
multiplication and an addition of the table. What the cells of a PE take for a product:

{comparison_table(data)}

Multiplication and addition are not all that a PE is: {len(beyond)} of {len(data["layers"])} layers
are beyond 20 % of them. What is missing are registers, their clock, queues, and the control of
look-up, walk and sums, of which the table of 45 nm has nothing. The model takes them from here, as
means over the layers, in multiply-adds: {known["product"]:.3f} for each product beside multiplier
and adder, {known["lookup"]:.3f} for each look-up with its queues, {known["clock"]:.3f} of clock for
each product; for each product of a dense PE {known["dense product"]:.3f}, and
{known["dense clock"]:.3f} of clock. The last column is with these: what is left of the difference
is how layers differ from their mean.

## Accesses of memories

Per product, as counted at the gates in the cycles above, rows that are drained among them; the
model's look-ups are of the whole pass.

{accesses_table(data)}
"""


def quotes(data: Mapping[str, Any]) -> dict[str, str]:
    """Return figures by name, as texts take them."""
    tax = [total(row, "sparse") / total(row, "dense") for row in data["layers"]]
    zeros = [total(row, "dense_zeros") / total(row, "dense") for row in data["layers"]]
    return {
        "least-tax": f"{min(tax):.2f}",
        "most-tax": f"{max(tax):.2f}",
        "least-zeros": percent(min(zeros)),
        "most-zeros": percent(max(zeros)),
    }
