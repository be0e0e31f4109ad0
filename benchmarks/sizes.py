"""What sizes of the array's memories are worth: utilisation of recorded steps, and bits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from benchmarks.forced import cycles_of
from benchmarks.markdown import percent, table
from benchmarks.rtl import CONFIG
from gscn.array import ArrayConfig, array
from gscn.cosim.layer import PassInput
from gscn.errors import InputError
from gscn.golden.oracle.integers import useful_products
from gscn.perf.estimate.storage import storage

FIELDS = ("acc_depth", "stationary_depth", "directory_depth", "word_depth", "fiber_depth")
FACTORS = (0.5, 2)
MORE = (("job_depth", 2), ("acc_depth", 0.25))
AS_IT_IS = "as it is"


def variants(base: ArrayConfig) -> dict[str, ArrayConfig]:
    """Return the array with one size halved or doubled, by what differs; sizes must be legal."""
    found = {AS_IT_IS: base}
    for field, factor in (*((one, by) for one in FIELDS for by in FACTORS), *MORE):
        size = int(getattr(base, field) * factor)
        try:
            found[f"`{field}` {size}"] = dataclasses.replace(base, **{field: size})
        except InputError:
            continue
    return found


def measure(one: PassInput) -> list[dict[str, Any]]:
    """Return cycles and products of a pass on every variant."""
    useful = useful_products(one.shape, one.which, one.first, one.second)
    return [
        {
            "variant": name,
            # a text, which rows that are added up have in common
            "memory_bits": str(memory_bits(config)),
            "products": int(useful),
            "cycles": cycles_of(config, one),
        }
        for name, config in variants(array(CONFIG)).items()
    ]


def memory_bits(config: ArrayConfig) -> int:
    """Return the bits of all memories of an array."""
    return sum(one.bits for one in storage(config).values())


def render(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table."""
    base = array(CONFIG)
    (as_it_is,) = (row for row in rows if row["variant"] == AS_IT_IS)
    least, bits = as_it_is["cycles"], int(as_it_is["memory_bits"])
    lines = [
        (
            row["variant"],
            percent(row["products"] / (row["cycles"] * base.multipliers)),
            f"{100 * (row['cycles'] / least - 1):+.1f} %",
            f"{int(row['memory_bits']) / 1e6:.2f}",
            f"{100 * (int(row['memory_bits']) / bits - 1):+.1f} %",
        )
        for row in rows
    ]
    header = ("size", "utilization", "cycles", "memories, Mbit", "of them")
    return table(header, lines)
