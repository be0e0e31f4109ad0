"""What the cycle model of an array is told: passes, and the jobs that they are cut into."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gscn.cycles.state import record
from gscn.passes import PASS_DESCRIPTOR

PASS = record(*(one.name for one in PASS_DESCRIPTOR.fields if "reserved" not in one.name))
"""A descriptor of a pass, `gscn.passes`."""
JOB = record(
    "s_tile", "t_group", "lane0", "first_sample", "samples", "strip", "rows", "x0", "x1",
    "out_addr", "streams", "drains", "head", "last",
)  # fmt: skip
"""A job, as `hw.array_layouts.job_layout`."""


def filled(kind: np.dtype, *values: Mapping[str, int]) -> np.ndarray:
    """Return records with some fields set; the others are 0."""
    records = np.zeros(len(values), kind)
    for one, fields in zip(records, values, strict=True):
        for name, value in fields.items():
            if name in kind.names:
                one[name] = value
    return records
