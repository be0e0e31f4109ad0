"""Passes of a recorded training step on the generated Verilog, a row for each.

`python -m benchmarks.recorded ITERATION [LAYER ...]` runs the passes of a trace that
`benchmarks.tracing` keeps, of these layers or of one of each shape. Without an iteration it runs
the three passes of a layer with uniformly random operands (`benchmarks.rtl.LAYER`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from benchmarks.consecutive import densities
from benchmarks.markdown import percent, table
from benchmarks.rtl import CONFIG, measure, random_inputs
from benchmarks.tracing import distinct_layers, recorded_trace
from gscn.array import ArrayConfig, array
from gscn.cosim.layer import PassInput, traced_inputs


def recorded(config: ArrayConfig, iteration: int, layers: Iterable[str]) -> Iterator[PassInput]:
    """Yield the passes of a recorded iteration, of these layers or of one of each shape."""
    trace = recorded_trace(iteration)
    yield from traced_inputs(trace, config, list(layers) or distinct_layers(trace))


def cells(one: PassInput, row: dict) -> list[str]:
    """Return the cells of a measured pass, under `HEADER`."""
    return [
        row["layer"], row["pass"], " x ".join(map(percent, densities(one))), str(row["cycles"]),
        percent(row["utilization"]), *map(percent, row["port_shares"]),
        f"{row['read_per_operand']:.2f}", row["plan"],
    ]  # fmt: skip


HEADER = [
    "layer", "pass", "operands nonzero", "cycles", "utilization", "read port", "write port",
    "read per operand byte", "plan",
]  # fmt: skip


def main(arguments: list[str]) -> None:
    """Print a table, row by row."""
    config = array(CONFIG)
    inputs: Iterable[PassInput] = random_inputs(config)
    if arguments:
        inputs = recorded(config, int(arguments[0]), arguments[1:])
    lines = table(HEADER, []).splitlines()
    print("\n".join(lines), flush=True)
    for one in inputs:
        (row,) = measure(config, [one])
        print(table(HEADER, [cells(one, row)]).splitlines()[len(lines)], flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
