"""Records of a list: which there are, whose queue they are in, and what memory each touches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gscn.array import ArrayConfig
from gscn.control import CONTROL_MODE, CONTROL_RECORD, LINKS, Queue
from gscn.emulator.encode_checks import EncodeFields, encode_fields, read, written
from gscn.emulator.pass_checks import PassFields, operand_ranges, pass_fields
from gscn.encode import (
    ENCODE_DESCRIPTOR,
    ENCODE_DESCRIPTOR_BYTES,
    ENCODE_MODE,
    ENCODE_STATE,
    EncodeError,
)
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR
from gscn.port import ALIGNMENT_BYTES

STATE_BYTES = ENCODE_STATE.width // 8
TOP_BYTES = 2
MODE_PLACE = int(PASS_DESCRIPTOR.dtype.fields["mode"][1])


class Link(NamedTuple):
    """A top that is set."""

    target: int
    first: int
    second: int
    margin: int


class Control(NamedTuple):
    """A control record."""

    queue: int
    wait: int
    stop: int
    links: tuple[Link, ...]


class Listed(NamedTuple):
    """A record of a list."""

    addr: int
    size: int
    queue: Queue
    number: int
    """In its queue."""


def listed(memory: np.ndarray, addr: int, end: int) -> list[Listed]:
    """Return the records of a list, up to one that the list ends within.

    Parameters
    ----------
    memory
        uint8.
    addr, end
        First byte of the list, and one past its last.
    """
    found: list[Listed] = []
    counts = {queue: 0 for queue in Queue}
    while addr < end:
        mode = memory[addr + MODE_PLACE] if addr + MODE_PLACE < memory.size else 0
        size = ENCODE_DESCRIPTOR_BYTES if mode == ENCODE_MODE else DESCRIPTOR_BYTES
        queue = Queue.ENCODE if mode == ENCODE_MODE else Queue.ARRAY
        if mode == CONTROL_MODE and memory[addr + MODE_PLACE - 1] == Queue.ENCODE:
            queue = Queue.ENCODE
        found.append(Listed(addr, size, queue, counts[queue]))
        counts[queue] += 1
        addr += size
    return found


def control_of(memory: np.ndarray, addr: int) -> Control:
    """Return the control record at an address."""
    record = CONTROL_RECORD.unpack(memory[addr : addr + DESCRIPTOR_BYTES])[0]
    links = tuple(
        Link(*(int(record[f"{name}{n}"]) for name in ("target", "first", "second", "margin")))
        for n in range(min(int(record["links"]), LINKS))
    )
    return Control(int(record["queue"]), int(record["wait"]), int(record["stop"]), links)


def check_control(memory: np.ndarray, addr: int, config: ArrayConfig, others: int) -> EncodeError:
    """Return the first error of a control record.

    Parameters
    ----------
    memory
        uint8.
    addr
        Byte address of the record.
    config
        The array.
    others
        Records of the other queue before it in the list.
    """
    record = CONTROL_RECORD.unpack(memory[addr : addr + DESCRIPTOR_BYTES])[0]
    if record["links"] > LINKS or record["queue"] > max(Queue):
        return EncodeError.FORMAT
    for link in control_of(memory, addr).links:
        states = (link.first, link.second)
        if link.target % TOP_BYTES or any(one % ALIGNMENT_BYTES for one in states):
            return EncodeError.ADDRESS
        if max(link.target, *states) >= 1 << config.addr_width:
            return EncodeError.ADDRESS
    return EncodeError.ORDER if record["wait"] > others else EncodeError.NONE


def touched(memory: np.ndarray, one: Listed) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the ranges of bytes that a record reads, and those that it writes.

    Its own bytes are among those that it reads. What the host touches at a stop is not known here.
    """
    own = (one.addr, one.addr + one.size)
    mode = memory[one.addr + MODE_PLACE]
    content = memory[own[0] : own[1]]
    if mode == CONTROL_MODE:
        control = control_of(memory, one.addr)
        states = {at for link in control.links for at in (link.first, link.second) if at}
        reads = [own, *((at, at + STATE_BYTES) for at in states)]
        return reads, [(link.target, link.target + TOP_BYTES) for link in control.links]
    if mode == ENCODE_MODE:
        e: EncodeFields = encode_fields(ENCODE_DESCRIPTOR.unpack(content)[0])
        return [own, *read(e), (e.state_addr, e.state_addr + STATE_BYTES)], written(e)
    d: PassFields = pass_fields(PASS_DESCRIPTOR.unpack(content)[0])
    return [own, *operand_ranges(d)], [(d.out_addr, d.out_end)]


def races(memory: np.ndarray, addr: int, end: int) -> list[tuple[int, int]]:
    """Return pairs of records that may run at once though one writes what the other touches.

    Parameters
    ----------
    memory
        uint8, with the list.
    addr, end
        First byte of the list, and one past its last.

    Returns
    -------
    list
        Their byte addresses; empty if two queues leave what the order of the list leaves.
    """
    sides: dict[Queue, list[tuple[Listed, int, list, list]]] = {queue: [] for queue in Queue}
    awaited = {queue: 0 for queue in Queue}
    for one in listed(memory, addr, end):
        if memory[one.addr + MODE_PLACE] == CONTROL_MODE:
            awaited[one.queue] = max(awaited[one.queue], control_of(memory, one.addr).wait)
        sides[one.queue].append((one, awaited[one.queue], *touched(memory, one)))
    found = []
    for first, first_after, first_reads, first_writes in sides[Queue.ENCODE]:
        for second, second_after, second_reads, second_writes in sides[Queue.ARRAY]:
            if first.number < second_after or second.number < first_after:
                continue
            if (
                _meet(first_writes, second_reads)
                or _meet(first_writes, second_writes)
                or _meet(first_reads, second_writes)
            ):
                found.append((first.addr, second.addr))
    return found


def _meet(ones: list[tuple[int, int]], others: list[tuple[int, int]]) -> bool:
    return any(one[0] < other[1] and other[0] < one[1] for one in ones for other in others)
