"""The functional model of a whole list: passes of both units, and control records between.

It follows `docs/contract/lists.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gscn.array import ArrayConfig
from gscn.control import CONTROL_MODE, Queue
from gscn.emulator.encode import run_encode
from gscn.emulator.list_records import (
    MODE_PLACE,
    STATE_BYTES,
    TOP_BYTES,
    Listed,
    check_control,
    control_of,
    listed,
)
from gscn.emulator.pass_checks import check_descriptor, pass_fields
from gscn.emulator.passes import run_passes
from gscn.encode import ENCODE_MODE, ENCODE_STATE, EncodeError
from gscn.enums import takes_text
from gscn.pass_errors import PassError
from gscn.passes import PASS_DESCRIPTOR
from gscn.window import MOST_TOP

Host = Callable[[int, np.ndarray], int | None]
"""Is called with the number of a stop, and memory, which it may change. It may start the list anew
from the record whose address it returns."""
Choice = Callable[[list[Queue]], Queue]
"""Says which of some queues goes on."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class ListResult:
    """Memory after a list, and how it ended."""

    memory: np.ndarray
    """uint8; after an error as it was before the failing record."""
    encode_flags: int
    """Of all encode passes: bit 0 saturated, 1 not finite, 2 overflow."""
    saturated: bool
    """Of the array's passes."""
    nonfinite: bool
    overflow: bool
    """An accumulator of the array has overflowed, or may have."""
    error: EncodeError | PassError
    error_addr: int
    """Byte address of the record that failed; one past the list if none did."""


class _Run:
    """A list under way."""

    def __init__(
        self, config: ArrayConfig, memory: np.ndarray, bounds: tuple[int, int], host: Host | None
    ) -> None:
        self.config, self.memory, self.bounds, self.host = config, memory.copy(), bounds, host
        self.flags = 0
        self.array = [False, False, False]
        self.again: int | None = None

    def record(self, one: Listed, others: int) -> EncodeError | PassError:
        """Run a record; return its error."""
        mode = self.memory[one.addr + MODE_PLACE]
        if mode == CONTROL_MODE:
            return self._control(one, others)
        if mode == ENCODE_MODE:
            if one.addr + one.size > self.bounds[1]:
                return EncodeError.LIST
            found = run_encode(self.config, self.memory, one.addr, self.bounds)
            self.flags |= found.flags
            self.memory = found.memory
            return found.error
        content = self.memory[one.addr : one.addr + one.size]
        error = check_descriptor(
            pass_fields(PASS_DESCRIPTOR.unpack(content)[0]), self.config, self.bounds
        )
        if error != PassError.NONE:
            return error
        result = run_passes(self.config, self.memory, one.addr, 1, self.memory.size)
        self.array = [
            was or now
            for was, now in zip(
                self.array,
                (result.saturated, result.nonfinite, result.overflow_possible),
                strict=True,
            )
        ]
        self.memory = result.memory
        return result.error

    def _control(self, one: Listed, others: int) -> EncodeError:
        error = check_control(self.memory, one.addr, self.config, others)
        if error != EncodeError.NONE:
            return error
        control = control_of(self.memory, one.addr)
        if control.stop and self.host is not None:
            self.again = self.host(control.stop, self.memory)
        for link in control.links:
            states = [at for at in (link.first, link.second) if at]
            if max(link.target + TOP_BYTES, *(at + STATE_BYTES for at in states)) > (
                self.memory.size
            ):
                return EncodeError.BUS_READ
            largest = (
                max(1, int(ENCODE_STATE.unpack(self.memory[at : at + STATE_BYTES])[0]["largest"]))
                for at in states
            )
            top = min(max(link.margin + sum(largest), 0), MOST_TOP)
            place = self.memory[link.target : link.target + TOP_BYTES]
            place[:] = np.array([top], dtype="<u2").view(np.uint8)
        return EncodeError.NONE


def run_list(
    config: ArrayConfig,
    memory: np.ndarray,
    addr: int,
    end: int,
    host: Host | None = None,
    choose: Choice | None = None,
    begin: int | None = None,
) -> ListResult:
    """Run a list of records on memory, as the hardware must.

    Parameters
    ----------
    config
        The array.
    memory
        uint8: all of it.
    addr, end
        First byte of the list, and one past its last.
    host
        What the host does at a stop; None: nothing.
    choose
        Which queue goes on where both could; None: records run in the order of the list.
    begin
        Records before this address count as ended; None: there are none.
    """
    run = _Run(config, memory, (addr, end), host)
    records = listed(memory, addr, end)
    queues = {queue: [one for one in records if one.queue == queue] for queue in Queue}
    done = dict.fromkeys(Queue, 0)
    if begin is not None:
        done = {queue: sum(one.addr < begin for one in queues[queue]) for queue in Queue}
    error: EncodeError | PassError = EncodeError.NONE
    failed = end
    while sum(done.values()) < len(records):
        if choose is None:
            one = records[sum(done.values())]
        else:
            ready = [
                queue
                for queue in Queue
                if done[queue] < len(queues[queue])
                and _may_begin(run.memory, queues[queue][done[queue]], done, records)
            ]
            queue = choose(ready)
            one = queues[queue][done[queue]]
        error = run.record(one, _others(records, one))
        if error:
            failed = one.addr
            break
        done[one.queue] += 1
        if run.again is not None:
            # What runs in the other queue ends; both go on from there.
            for queue in Queue:
                before = sum(other.addr < run.again for other in queues[queue])
                done[queue] = min(done[queue], before)
            run.again = None
    return ListResult(
        memory=run.memory,
        encode_flags=run.flags,
        saturated=run.array[0],
        nonfinite=run.array[1],
        overflow=run.array[2],
        error=error,
        error_addr=failed,
    )


def _others(records: list[Listed], one: Listed) -> int:
    """Return the records of the other queue that are before one in the list."""
    return sum(other.queue != one.queue and other.addr < one.addr for other in records)


def _may_begin(
    memory: np.ndarray, one: Listed, done: dict[Queue, int], records: list[Listed]
) -> bool:
    """Say whether a record, the next of its queue, need not wait for the other queue."""
    if memory[one.addr + MODE_PLACE] != CONTROL_MODE:
        return True
    wait = control_of(memory, one.addr).wait
    # One that waits for what is not before it is an error, and is run to be reported.
    return wait <= done[Queue(1 - one.queue)] or wait > _others(records, one)
