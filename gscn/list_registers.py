"""Registers that a machine has and an array has not: lists of both kinds of passes, their stops.

`docs/contract/lists.md` says what they do.
"""

from __future__ import annotations

from gscn.register import Access, Register, RegisterField, Top, address, whole

LIST_REGISTERS = (
    *address(
        "LIST_FIRST",
        0x068,
        Access.READ_WRITE,
        "byte address, taken at start: records before it count as ended; 0: none does",
        note="; a multiple of 64",
        top=Top.MACHINE,
    ),
    Register(
        "LIST_ORDER",
        0x070,
        Access.READ_WRITE,
        (
            RegisterField(
                "two_queues", 0, 1, "1: in two queues, 0: in the order of the list, one by one"
            ),
        ),
        "how the records of a list follow one another, taken at start",
        top=Top.MACHINE,
    ),
    Register(
        "STOP",
        0x074,
        Access.READ,
        whole("number; 0: there is no stop"),
        "what the host is told by the control record that waits for its answer",
        top=Top.MACHINE,
    ),
    *address(
        "ANSWER_ADDR",
        0x078,
        Access.READ_WRITE,
        "byte address of the record from which on an answer with CONTROL.anew begins anew",
        top=Top.MACHINE,
    ),
    *address(
        "RECORD_ENCODE",
        0x080,
        Access.READ,
        "byte address of the record that the encode unit's queue is at, or was at last, before an "
        "error too; 0 before its first one since a reset, a clear or an error",
        top=Top.MACHINE,
    ),
    *address(
        "RECORD_ARRAY",
        0x088,
        Access.READ,
        "the same of the array's queue",
        top=Top.MACHINE,
    ),
)
"""In the order of their offsets, behind those that an array has too."""
