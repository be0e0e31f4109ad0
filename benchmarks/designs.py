"""What the choices of weight gradients are worth: who is held, teams, taps to a pass."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from benchmarks import forced
from benchmarks.markdown import percent, table
from benchmarks.rtl import CONFIG
from gscn.array import array
from gscn.cosim.layer import PassInput
from gscn.errors import InputError
from gscn.golden.oracle.integers import useful_products
from gscn.lowering.estimates import DENSE

AS_PLANNED = "as planned"


def measure(one: PassInput) -> list[dict[str, Any]]:
    """Return cycles and products of a weight gradient by every design."""
    config = array(CONFIG)
    kernel = f"{one.shape.r}x{one.shape.s}"
    base = {
        "kernel": kernel,
        "products": int(useful_products(one.shape, one.which, one.first, one.second)),
    }
    cycles = {AS_PLANNED: forced.cycles_of(config, one)}
    for inputs, name in ((True, "inputs held"), (False, "output gradients held where possible")):
        with forced.holding(inputs=inputs):
            cycles[name] = forced.cycles_of(config, one)
    cycles["without teams"] = _without_teams(one)
    for rows, name in ((1, "a tap row to a pass"), (None, "a tap to a pass")):
        with forced.tap_passes(1, None if rows else 1):
            cycles[name] = forced.cycles_of(config, one)
    return [{"design": name, **base, "cycles": found} for name, found in cycles.items()]


def _without_teams(one: PassInput) -> int:
    """Return the cycles by the fastest plan without teams, at the least caution that will do."""
    config, found = array(CONFIG), []
    for level in range(DENSE + 1):
        for planned in forced.without_teams(config, one, level):
            # tiles may not hold what they must: then there is an error, and no cycles
            with contextlib.suppress(InputError):
                found.append(forced.cycles_of(config, one, planned))
        if found:
            break
    return min(found)


def render(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table."""
    kernels = list(dict.fromkeys(row["kernel"] for row in rows))
    found = {(row["design"], row["kernel"]): row for row in rows}
    lines = []
    for design in dict.fromkeys(row["design"] for row in rows):
        cells = []
        for kernel in kernels:
            row, base = found[design, kernel], found[AS_PLANNED, kernel]
            busy = row["products"] / (row["cycles"] * array(CONFIG).multipliers)
            cells += [percent(busy), f"{100 * (row['cycles'] / base['cycles'] - 1):+.1f} %"]
        lines.append((design, *cells))
    header = [cell for kernel in kernels for cell in (f"{kernel}, utilization", "cycles")]
    return table(("weight gradients", *header), lines)
