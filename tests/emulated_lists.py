"""The emulator in place of the simulated machine: the same memory and errors, and no cycles."""

from __future__ import annotations

import numpy as np

from gscn.cosim.lists import ListRun, Taken
from gscn.emulator.list_records import listed
from gscn.emulator.lists import run_list


class EmulatedLists:
    """Has what `gscn.cosim.lists.ListSimulator` has."""

    def __init__(self, config, image, *_, names, **__):
        self.config, self.image, self.names, self.closed = config, image.copy(), names, False

    def close(self):
        """Note that it was closed."""
        self.closed = True

    def run(self, addr, end, host, *, together, timed=False):
        """Run a list; each record takes 10 cycles."""
        assert together
        stops = []

        def answered(number, memory):
            stops.append(number)
            return host(number, memory)

        host.begin(0)
        result = run_list(self.config, self.image, addr, end, answered)
        self.image = result.memory
        records = listed(self.image, addr, end)
        taken = [
            Taken(one.queue, one.addr, 10 * n, 10 * n + 10)
            for n, one in enumerate(records)
            if timed
        ]
        cycles = 10 * len(records)
        return ListRun(
            cycles=cycles, counters={}, flags={}, read_beats=0, write_beats=0, stops=len(stops),
            error=result.error, error_addr=result.error_addr, records=(), simulated_cycles=cycles,
            wall_seconds=0.0, taken=tuple(taken),
        ), host  # fmt: skip

    def memory(self):
        """Return memory, and that nothing is known of what was written."""
        return self.image.copy(), np.zeros(self.image.size, dtype=bool)

    def read(self, places):
        """Return bytes at some places."""
        return [self.image[addr : addr + size].copy() for addr, size in places]
