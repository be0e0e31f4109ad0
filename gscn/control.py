"""Control records: what a list of passes needs between its passes.

A control record stands in the list like a pass, in one place. It waits for passes of the other
queue, or for the host, and then sets tops of windows from the largest exponents of tensors that
passes before have left in their states. `docs/contract/lists.md` says what its fields do.
"""

from __future__ import annotations

import enum

from gscn.passes import DESCRIPTOR_BYTES
from gscn.records import Field, Record, signed, unsigned

CONTROL_MODE = 3
"""Value of `mode` that says that a record is one of control."""
LINKS = 7
"""Tops that a record sets at most."""
_BEFORE_MODE = 3
"""Links that lie before `mode`, which is where a pass has it."""


class Queue(enum.IntEnum):
    """Who takes a record."""

    ENCODE = 0
    ARRAY = 1


def _links(numbers: range) -> tuple[Field, ...]:
    return tuple(
        field
        for n in numbers
        for field in (
            unsigned(f"target{n}", 64, f"byte address of the top, 16 bits, that link {n} sets"),
            unsigned(f"first{n}", 64, "byte address of a state"),
            unsigned(f"second{n}", 64, "byte address of another one; 0: there is none"),
        )
    )


_FIELDS = (
    *_links(range(_BEFORE_MODE)),
    unsigned("links", 8, "links that there are"),
    unsigned("queue", 8, "0 the encode unit's, 1 the array's"),
    unsigned("mode", 8, "3; at the place of a pass's mode"),
    unsigned("reserved_mode", 8, "zero"),
    unsigned("wait", 32, "records of the other queue that must have ended"),
    unsigned("stop", 32, "number told to the host, for whose answer is waited; 0: not"),
    unsigned("reserved_stop", 32, "zero"),
    *_links(range(_BEFORE_MODE, LINKS)),
    *(signed(f"margin{n}", 16, f"added to the top that link {n} sets") for n in range(LINKS)),
)

_SIZE = sum(one.width for one in _FIELDS) // 8
CONTROL_RECORD = Record(
    "control_record",
    (
        *_FIELDS,
        *(unsigned(f"reserved{n}", 8, "zero") for n in range(DESCRIPTOR_BYTES - _SIZE)),
    ),
)
"""One control record."""
