"""The testbench of lists calls the host at each stop, and hands its answer on."""

from __future__ import annotations

import asyncio
import ctypes
from types import SimpleNamespace

import numpy as np

from gscn.cosim.inside import list_testbench
from gscn.cosim.simulation import CHANNELS

SETTINGS = {
    "stalls": dict.fromkeys(CHANNELS, 0.0), "latency": 2, "write_latency": 2, "faulty": False,
    "counter_count": 3,
}  # fmt: skip
LIST = {
    "list_addr": 64, "list_count": 5, "abort_cycle": 0, "seed": 1, "timeout_cycles": 100,
    "reset": True, "together": True, "memory_bytes": 8, "timed": False,
}  # fmt: skip


class Program:
    """Functions of a program whose list has some stops."""

    def __init__(self, stops):
        self.stops, self.answers, self.machine = list(stops), [], None
        self.memory = (ctypes.c_uint8 * 8)(*range(8))
        self.counters = (ctypes.c_uint64 * 3)(7, 8, 9)

    def __getattr__(self, name):
        """Return a function that says that nothing happened."""
        if name == "gscn_bytes":
            return lambda: ctypes.addressof(self.memory)
        if name == "gscn_counters":
            return lambda: ctypes.addressof(self.counters)
        return lambda *_: b"" if name == "gscn_error" else 0

    def gscn_machine(self, together):
        self.machine = together

    def gscn_stop(self):
        return self.stops.pop(0) if self.stops else 0

    def gscn_answer(self, addr):
        self.answers.append(addr)


def test_the_host_sees_memory_at_each_stop_and_may_name_a_record_to_begin_anew(monkeypatch):
    async def edge():
        """Pass at once."""

    monkeypatch.setattr(list_testbench, "RisingEdge", lambda _: edge())
    program = Program([3, 9])
    seen = []

    def host(number, memory):
        seen.append((number, memory[3]))
        memory[3] = 77
        return 4096 if number == 9 else None

    outcome = asyncio.run(
        list_testbench._run_list(SimpleNamespace(launch_done=None), program, SETTINGS, LIST, host)
    )
    assert seen == [(3, 3), (9, 77)]
    assert program.answers == [0, 4096]
    assert program.machine is True
    assert outcome["stops"] == 2
    assert outcome["status"] == "ok"
    assert np.array_equal(outcome["counters"], [7, 8, 9])
