"""Passes of recorded training steps on the Verilog of an array that cuts its own jobs.

`python -m benchmarks.arrays ITERATION [LAYER ...]` runs the passes of a trace of
`benchmarks.tracing` on the array `large`, 16-bit results, memory latency 100, and prints a row for
each: every result is compared with the oracle. Without an iteration it runs the three passes of a
layer with uniformly random operands (`benchmarks.rtl.LAYER`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.markdown import percent, table
from benchmarks.rtl import LATENCY, random_inputs
from benchmarks.tracing import FOLDER, distinct_layers
from gscn.array import ArrayConfig, array
from gscn.config import AcceleratorConfig
from gscn.cosim.array import run_arrays
from gscn.cosim.layer import PassInput, traced_inputs
from gscn.errors import MismatchError
from gscn.formats import OPERAND_FORMATS
from gscn.golden.oracle.integers import conv_integers
from gscn.golden.oracle.quantize import choose_shift, requantize
from gscn.golden.traces.trace import load_trace
from gscn.lowering.pass_image import PassImage, lower_pass
from gscn.program import OutputFormat

RESULT = OPERAND_FORMATS["int16"]
TIMEOUT = 1 << 24
"""Cycles of a pass."""


@dataclass(frozen=True, slots=True)
class ListedPasses:
    """A lowered pass as a program of `cosim.array`."""

    lowered: PassImage

    @property
    def config(self) -> ArrayConfig:
        """The array."""
        return self.lowered.config

    @property
    def image(self) -> np.ndarray:
        """Initial memory (uint8)."""
        return self.lowered.image

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that the run needs."""
        return self.lowered.memory_bytes

    @property
    def descriptors_addr(self) -> int:
        """Byte address of the list of descriptors."""
        return self.lowered.descriptors_addr

    @property
    def count(self) -> int:
        """Descriptors."""
        return self.lowered.descriptor_count


def measure(config: ArrayConfig, one: PassInput, *, latency: int = LATENCY) -> dict[str, object]:
    """Co-simulate a pass with 16-bit results; return plain values.

    `shares` are of the multipliers' cycles; `read` and `write` are beats per cycle and port;
    `read_per_operand` are bytes read per byte of operands and tables, each counted once.

    Raises
    ------
    MismatchError
        A result differs from the oracle's, a byte outside the results was written, or the run
        failed: there is nothing to publish.
    """
    sums = conv_integers(one.shape, one.which, one.first, one.second)
    shift = choose_shift(int(sums.min()), int(sums.max()), RESULT.width)
    out = OutputFormat(width=RESULT.width, shift=shift)
    lowered = lower_pass(config, one.shape, one.which, one.first, one.second, out)
    (run,) = run_arrays([ListedPasses(lowered)], latency=latency, timeout_cycles=TIMEOUT)
    label = f"{one.layer} {one.which}"
    if run.error or run.error_code:
        raise MismatchError(f"{label}: {run.error or run.error_code.name}")
    expected, _ = requantize(sums, shift, RESULT)
    wrong = int(np.count_nonzero(lowered.result(run.memory) != expected))
    stray = run.written.copy()
    for first, end in lowered.output_ranges:
        stray[first:end] = False
    if wrong or stray.any():
        raise MismatchError(f"{label}: {wrong} results differ, {int(stray.sum())} stray bytes")
    slots = run.cycles * config.multipliers
    return {
        "layer": one.layer,
        "pass": str(one.which),
        "densities": [float(np.count_nonzero(x) / x.size) for x in (one.first, one.second)],
        "results": int(expected.size),
        "cycles": run.cycles,
        "planned": lowered.plan.cycles,
        "utilization": lowered.useful_products / slots,
        "shares": {name: sum(values) / slots for name, values in run.counters.items()},
        "read": run.read_beats / run.cycles / config.ports,
        "write": run.write_beats / run.cycles / config.ports,
        "read_per_operand": run.read_beats * config.mem_bytes / lowered.operand_bytes,
        "plan": str(lowered.plan),
    }


def recorded(iteration: int, layers: Iterable[str]) -> Iterator[PassInput]:
    """Yield the passes of a recorded iteration, of these layers or of one of each shape."""
    trace = load_trace(FOLDER / f"trace-{iteration}")
    yield from traced_inputs(trace, AcceleratorConfig(), list(layers) or distinct_layers(trace))


def row(one: dict) -> list[str]:
    """Return the cells of a measurement."""
    densities = " x ".join(percent(share) for share in one["densities"])
    ports = (percent(one["read"]), percent(one["write"]))
    return [
        one["layer"], one["pass"], densities, str(one["cycles"]), percent(one["utilization"]),
        *ports, f"{one['read_per_operand']:.2f}", one["plan"],
    ]  # fmt: skip


HEADER = [
    "layer", "pass", "operands nonzero", "cycles", "utilization", "read port", "write port",
    "read per operand byte", "plan",
]  # fmt: skip


def main(arguments: list[str]) -> None:
    """Print a table, row by row."""
    config = array("large")
    if arguments:
        inputs: Iterable[PassInput] = recorded(int(arguments[0]), arguments[1:])
    else:
        inputs = random_inputs(AcceleratorConfig())
    lines = table(HEADER, []).splitlines()
    print("\n".join(lines), flush=True)
    for one in inputs:
        print(table(HEADER, [row(measure(config, one))]).splitlines()[len(lines)], flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
