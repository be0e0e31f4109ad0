"""Random lists of records, with passes that a line of Python can do, and what they must do."""

from __future__ import annotations

import random
from contextlib import ExitStack
from types import SimpleNamespace
from unittest import mock

import numpy as np

from gscn.control import CONTROL_MODE, CONTROL_RECORD, LINKS, Queue
from gscn.emulator import lists
from gscn.emulator.list_records import MODE_PLACE, control_of, listed
from gscn.encode import ENCODE_MODE, ENCODE_STATE
from gscn.pass_errors import PassError

PLACE, STATE = 256, 64
STATES = range(STATE, 30 * STATE, STATE)
"""Addresses of states."""
LIST = 31 * STATE
LARGEST = int(ENCODE_STATE.dtype.fields["largest"][1])
TOP = int(ENCODE_STATE.dtype.fields["sum_top"][1])
FAILURES = {Queue.ENCODE: PassError.TABLE, Queue.ARRAY: PassError.WALK}
"""What a pass that fails reports."""


def halfword(memory, at):
    return memory[at : at + 2].view("<u2")


def do_pass(memory, addr):
    """Set a state's largest exponent from another's and a number in the record; return an error."""
    _, read, written = (int(one) for one in memory[addr : addr + 6].view("<u2"))
    mode = memory[addr + MODE_PLACE]
    if mode > ENCODE_MODE:
        return PassError.MODE
    if memory[addr + 6]:
        return FAILURES[Queue.ENCODE if mode == ENCODE_MODE else Queue.ARRAY]
    value = 7 * int(halfword(memory, addr)[0]) + int(halfword(memory, read + LARGEST)[0])
    halfword(memory, written + LARGEST)[:] = value % 250
    return PassError.NONE


def golden(config, memory, addr, end, **options):
    """Run a list by `emulator.lists.run_list`, with passes of `do_pass`."""

    def run(_config, before, at, *_):
        after = before.copy()
        error = do_pass(after, at)
        return SimpleNamespace(
            memory=after, error=error, flags=0, saturated=0, nonfinite=0, overflow_possible=0
        )

    with ExitStack() as stack:
        for name, value in (
            ("run_encode", run),
            ("run_passes", run),
            ("check_descriptor", lambda *_: PassError.NONE),
        ):
            stack.enter_context(mock.patch.object(lists, name, value))
        return lists.run_list(config, memory, addr, end, **options)


class RandomList:
    """A list under construction, in two queues without a race.

    `fresh`: no state is written twice, or read before it is written, so that records may run again.
    """

    def __init__(self, seed, *, fresh=False):
        self.rng = random.Random(seed)
        self.fresh = fresh
        self.content = np.zeros(0, dtype=np.uint8)
        self.counts = dict.fromkeys(Queue, 0)
        self.awaited = dict.fromkeys(Queue, 0)
        self.log = {queue: [] for queue in Queue}
        """Of each record of a queue, the states that it reads and those that it writes."""
        self.later = {queue: [] for queue in Queue}
        """Links, as places of targets in `content`, that may set the number of a later pass."""

    def _may(self, queue, *, write):
        """Return states that no record of the other queue that may run at once forbids."""
        apart = self.log[Queue(1 - queue)][self.awaited[queue] :]
        taken = set().union(*(writes for _, writes in apart))
        if write:
            taken = taken.union(*(reads for reads, _ in apart))
            if self.fresh:
                taken = taken.union(*(r | w for log in self.log.values() for r, w in log))
        return [one for one in STATES if one not in taken]

    def add_pass(self, mode, *, fails=False):
        """Add a pass."""
        queue = Queue.ENCODE if mode == ENCODE_MODE else Queue.ARRAY
        record = np.zeros(PLACE * (1 + (mode == ENCODE_MODE)), dtype=np.uint8)
        record[6], record[MODE_PLACE] = fails, mode
        may_write = self._may(queue, write=True)
        written = self.rng.choice(may_write) if may_write else None
        read = self.rng.choice([one for one in self._may(queue, write=False) if one != written])
        if written is None:
            record[6] = 0
            written = read
            assert not self.fresh or not may_write
        record[:6].view("<u2")[:] = [self.rng.randrange(1000), read, written]
        for at in self.later[queue]:
            if self.rng.random() < 0.3:
                self.content[at : at + 8].view("<u8")[:] = LIST + len(self.content)
        self.later[queue].clear()
        self._append(queue, record, {read}, {written})

    def add_control(self, *, random_links=None, **fields):
        """Add a control record: its queue and wait are random where they are not given."""
        rng = self.rng
        control = {"queue": rng.randrange(2), "mode": CONTROL_MODE, **fields}
        queue = Queue(min(control["queue"], 1))
        control.setdefault("wait", rng.randint(0, self.counts[Queue(1 - queue)]))
        self.awaited[queue] = max(self.awaited[queue], control["wait"])
        links = rng.choice([0, 1, 1, 2, 3, 5, LINKS]) if random_links is None else random_links
        targets = rng.sample(STATES, len(STATES))
        targets = [one for one in self._may(queue, write=True) if one in targets]
        rng.shuffle(targets)
        targets = targets[: min(links, len(targets))]
        sources = [one for one in self._may(queue, write=False)]
        if self.fresh:
            sources = [one for one in sources if one not in targets]
        control.setdefault("links", len(targets))
        reads = set()
        for n, target in enumerate(targets):
            first, second = rng.choice(sources), rng.choice([0, *sources])
            reads |= {first, second} - {0}
            control |= {
                f"target{n}": target + rng.choice([TOP, LARGEST]),
                f"first{n}": first,
                f"second{n}": second,
                f"margin{n}": rng.choice([0, 5, -20, -300, 900, -32768, 32767]),
            }
        start = len(self.content)
        content = CONTROL_RECORD.pack(**control).view(np.uint8)
        self._append(queue, content, reads, set(targets))
        if targets:
            at = int(CONTROL_RECORD.dtype.fields["target0"][1])
            self.later[queue].append(start + at)

    def _append(self, queue, content, reads, writes):
        self.content = np.concatenate([self.content, content])
        self.log[queue].append((reads, writes))
        self.counts[queue] += 1

    def add_any(self, **control):
        """Add a record of any kind."""
        kind = self.rng.choice([0, 1, ENCODE_MODE, CONTROL_MODE])
        if kind == CONTROL_MODE:
            self.add_control(**control)
        else:
            self.add_pass(kind)

    @property
    def end(self):
        """One past its last byte."""
        return LIST + len(self.content)

    def memory(self):
        """Return memory with the list and states of random exponents."""
        memory = np.zeros(self.end + PLACE, dtype=np.uint8)
        memory[LIST : self.end] = self.content
        for addr in STATES:
            halfword(memory, addr + LARGEST)[:] = self.rng.choice([0, self.rng.randrange(255)])
        return memory


def awaited_passes(memory, end):
    """Return, of each pass of a list, the passes of the other queue that must have ended before."""
    records = listed(memory, LIST, end)
    awaited = dict.fromkeys(Queue, 0)
    found = {}
    for one in records:
        if memory[one.addr + MODE_PLACE] == CONTROL_MODE:
            wait = control_of(memory, one.addr).wait
            awaited[one.queue] = max(awaited[one.queue], wait)
        else:
            found[one.addr] = {
                other.addr
                for other in records
                if other.queue != one.queue
                and other.number < awaited[one.queue]
                and memory[other.addr + MODE_PLACE] != CONTROL_MODE
            }
    return found
