"""The drivers from C and from Python run lists on a machine whose memory lies far away."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.axi import AxiAttributes
from gscn.counters import COUNTERS_PER_CLUSTER
from gscn.emulator.list_records import MODE_PLACE, listed
from gscn.emulator.lists import run_list
from gscn.encode import ENCODE_MODE, EncodeError
from gscn.passes import DESCRIPTOR_BYTES, Mode
from gscn.register import Top
from tests.cosim.axi_simulator import build_axi, run_drivers
from tests.cosim.test_driver import DRIVERS, MEMORY_BASES
from tests.cosim.test_lists_axi import without_stops
from tests.step_runs import CONFIG

pytestmark = [pytest.mark.cosim, pytest.mark.slow]
COUNTERS = CONFIG.clusters * COUNTERS_PER_CLUSTER + 2
"""The cycles in which the machine is busy are the last one."""


def beginning(memory, addr, end):
    """Return where a list ends that has its first records up to two array passes, and one more."""
    records = list(listed(memory, addr, end))
    modes = [memory[one.addr + MODE_PLACE] for one in records]
    arrays = [number for number, mode in enumerate(modes) if mode in tuple(Mode)]
    encodes = [number for number, mode in enumerate(modes) if mode == ENCODE_MODE]
    last = next(number for number in encodes if number > arrays[1])
    return records[last + 1].addr


def test_a_list_beyond_the_machine_s_addresses_gives_the_same_in_the_same_cycles(tmp_path):
    """Of 64 bits of address on the bus: passes of both kinds, in two queues, by both drivers."""
    memory, addr, end = without_stops("plain")
    end = beginning(memory, addr, end)
    memory.tofile(tmp_path / "image")
    cases = [("Python", 0), *zip(DRIVERS, MEMORY_BASES, strict=True)]
    scenarios = [
        {
            **{"image": "image", "memory_bytes": memory.size, "top": Top.MACHINE.value},
            **{"address": addr, "count": (end - addr) // DESCRIPTOR_BYTES},
            **{"first": 0, "two_queues": True, "interrupts": True, "abort": False},
            **{"driver": driver, "memory_base": base},
        }
        for driver, base in cases
    ]
    expected = run_list(CONFIG, memory, addr, end)
    assert expected.error == EncodeError.NONE
    assert not np.array_equal(expected.memory, memory)
    found = run_drivers(
        build_axi(CONFIG, AxiAttributes(addr_width=64), lists=True),
        CONFIG,
        scenarios,
        tmp_path,
        counters=COUNTERS,
        pause_share=0,  # so that counters can be compared
    )
    for case, (seen, left) in zip(cases, found, strict=True):
        assert seen["error"] == "NONE", case
        assert np.array_equal(left, expected.memory), case
        assert seen["counters"] == found[0][0]["counters"], case
    assert found[0][0]["counters"][-1] > 1000
