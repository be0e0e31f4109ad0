"""The machine behind AXI: lists by registers leave what emulator and golden steps say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.control import CONTROL_MODE, CONTROL_RECORD, Queue
from gscn.cosim import lists as lists_module
from gscn.cosim.conditions import Conditions
from gscn.cosim.lists import ListSimulator
from gscn.emulator.list_records import MODE_PLACE, listed
from gscn.emulator.lists import run_list
from gscn.encode import ENCODE_DESCRIPTOR, ENCODE_MODE, EncodeError
from gscn.errors import InputError
from gscn.hw.encode.selection import BINS
from gscn.hw.host.axi import AxiManager
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR, VECTOR
from tests.cosim.list_hosts import Changing, NoHost, Told
from tests.cosim.test_lists import small_runs
from tests.step_machines import simulator_of
from tests.step_runs import CONFIG

pytestmark = [pytest.mark.cosim, pytest.mark.slow]
AXI = Conditions(axi=True)
FAULTY = Conditions(axi=True, faulty=True)
IDLE_RECORDS = 256
"""Of a list that takes longer than bins are emptied for after a reset."""


def without_stops(method="both", *, first=False):
    """Return memory, and the bounds of a step's list in it from which stops are gone.

    With `first` the first stop of all is left.
    """
    runs, steps = small_runs(method, together=True)
    way, _ = next(iter(steps))
    memory, listing = runs.memory.copy(), runs.lists[way]
    place = CONTROL_RECORD.dtype.fields["stop"][1]
    for one in listed(memory, listing.addr, listing.end):
        stop = memory[one.addr + place : one.addr + place + 4]
        if memory[one.addr + MODE_PLACE] != CONTROL_MODE or not stop.any():
            continue
        if not first:
            stop[:] = 0
        first = False
    return memory, listing.addr, listing.end


def machine(memory, conditions, axi=True):
    return ListSimulator(CONFIG, memory, conditions, simulator=simulator_of(CONFIG, axi))


def controls(addr, *records):
    """Return what lies from an address on: control records."""
    content = [CONTROL_RECORD.pack(**{"mode": CONTROL_MODE, **fields}) for fields in records]
    return {addr: np.concatenate([one.view(np.uint8) for one in content])}


def with_idle_list(memory):
    """Return memory that has a list of nothing at its end, and the bounds of that list."""
    addr = -(-memory.size // DESCRIPTOR_BYTES) * DESCRIPTOR_BYTES
    (records,) = controls(addr, *[{}] * IDLE_RECORDS).values()
    longer = np.zeros(addr + records.size, dtype=np.uint8)
    longer[: memory.size], longer[addr:] = memory, records
    return longer, addr, longer.size


@pytest.mark.parametrize("latency", [4, 40])
def test_a_list_takes_the_cycles_of_a_memory_one_cycle_slower(latency, monkeypatch):
    """In two queues; memory, counters and beats are equal, too, and memory the emulator's.

    A list that begins sooner after a reset waits longer for bins of selections, and behind AXI the
    host's accesses of registers come first: so a list of nothing lets that time pass in both.
    """
    memory, addr, end = without_stops()
    memory, *idle = with_idle_list(memory)
    expected = run_list(CONFIG, memory, addr, end)
    assert expected.error == EncodeError.NONE

    def settled(one):
        run, _ = one.run(*idle, NoHost(), together=True)
        assert run.cycles > VECTOR * BINS
        return one

    with machine(memory, Conditions(axi=True, latency=latency)) as behind:
        run, _ = settled(behind).run(addr, end, NoHost(), together=True)
        assert np.array_equal(behind.memory()[0], expected.memory)
    settings = lists_module.launch_settings

    def slower(*args, **options):
        found = settings(*args, **options)
        return {**found, "write_latency": found["write_latency"] + AxiManager.LATENCY}

    monkeypatch.setattr(lists_module, "launch_settings", slower)
    with machine(memory, Conditions(latency=latency + AxiManager.LATENCY), axi=False) as plain:
        other, _ = settled(plain).run(addr, end, NoHost(), together=True)
    assert run.cycles > 1000
    for name in ("cycles", "counters", "flags", "read_beats", "write_beats", "error"):
        assert getattr(run, name) == getattr(other, name), name


@pytest.mark.parametrize("together", [False, True], ids=["in order", "two queues"])
def test_a_list_under_pauses_leaves_the_memory_of_the_emulator_again_and_again(together):
    memory, addr, end = without_stops()
    conditions = Conditions(axi=True, stall_probability=0.4, latency=3, seed=5)
    with machine(memory, conditions) as behind:
        for _ in range(2):
            memory = run_list(CONFIG, memory, addr, end).memory
            run, _ = behind.run(addr, end, NoHost(), together=together)
            assert run.error == EncodeError.NONE
            assert np.array_equal(behind.memory()[0], memory)
            # the counters of each list are its own
            cycles = sum(map(sum, run.counters.values())) / CONFIG.multipliers
            assert 0 < cycles <= run.cycles


def test_steps_by_swat_and_resprop_equal_the_golden_ones():
    runs, steps = small_runs(
        "both", together=True, conditions=Conditions(axi=True, stall_probability=0.2)
    )
    for way, batch in [*steps][:2]:
        runs.run(way, *batch)
    assert all(run.stops > 0 for run in runs.flags)


@pytest.mark.parametrize("queue", Queue)
def test_a_broken_record_in_the_middle_of_a_list_is_told_and_the_next_list_is_right(queue):
    """The host breaks it at the list's only stop, and mends it at that of the next list."""
    memory, addr, end = without_stops("plain", first=True)
    record, field, modes = {
        Queue.ENCODE: (ENCODE_DESCRIPTOR, "t0_format", (ENCODE_MODE,)),
        Queue.ARRAY: (PASS_DESCRIPTOR, "number_format", (0, 1)),
    }[queue]
    passes = [
        one.addr for one in listed(memory, addr, end) if memory[one.addr + MODE_PLACE] in modes
    ]
    at = passes[len(passes) // 2]
    place = at + record.dtype.fields[field][1]
    host = Changing(place, [0xFF, int(memory[place])])
    with machine(memory, FAULTY) as behind:
        expected = run_list(CONFIG, memory, addr, end, host)
        assert (expected.error, expected.error_addr) == (EncodeError.FORMAT, at)
        run, _ = behind.run(addr, end, host)
        assert (run.error, run.error_addr, run.stops) == (EncodeError.FORMAT, at, 1)
        # the queue that failed is at that record, the other one elsewhere
        assert [one == at for one in run.records] == [one == queue for one in Queue]
        memory = behind.memory()[0]
        assert np.array_equal(memory, expected.memory)
        host.begin(1)
        expected = run_list(CONFIG, memory, addr, end, host)
        assert expected.error == EncodeError.NONE
        run, _ = behind.run(addr, end, host)
        assert run.error == EncodeError.NONE
        assert np.array_equal(behind.memory()[0], expected.memory)


ERRORS = [
    (EncodeError.FORMAT, {"links": 8}),
    (EncodeError.ADDRESS, {"links": 1, "target0": 1}),
    (EncodeError.ORDER, {"wait": 3}),
    (EncodeError.LIST, {"mode": ENCODE_MODE}),
    (PassError.STATIONARY, {"mode": 0}),
    (PassError.MODE, {"mode": 4}),
    (EncodeError.BUS_READ, {"links": 1, "first0": 1 << 20}),
]
"""What is wrong with the last record of a list."""
LIST_BYTES = 4 * DESCRIPTOR_BYTES
NOWHERE = 0xFFFF_FFFF
"""Address of an error that belongs to no record."""


@pytest.fixture(scope="module")
def behind():
    """Return a machine with a list for each of `ERRORS`, and behind these one with stops."""
    memory = np.zeros((len(ERRORS) + 1) * LIST_BYTES, dtype=np.uint8)
    lists = [
        controls(number * LIST_BYTES, {"queue": 1}, {}, {"queue": 1}, fields)
        for number, (_, fields) in enumerate(ERRORS)
    ]
    stops = controls(len(ERRORS) * LIST_BYTES, {}, {"stop": 7}, {"queue": 1}, {"stop": 9})
    for one in (*lists, stops):
        for addr, content in one.items():
            memory[addr : addr + content.size] = content
    with machine(memory, FAULTY) as simulator:
        yield simulator


@pytest.mark.parametrize("together", [False, True], ids=["in order", "two queues"])
def test_every_error_is_told_with_its_record_and_a_right_list_follows(behind, together):
    for number, (code, _) in enumerate(ERRORS):
        addr = number * LIST_BYTES
        end = addr + LIST_BYTES
        at = end - DESCRIPTOR_BYTES
        run, _ = behind.run(addr, end, NoHost(), together=together)
        assert run.error == code
        if code == EncodeError.BUS_READ:  # the bus tells it, of no record
            assert run.error_addr == NOWHERE
            assert run.records[Queue.ENCODE] == at
        else:
            assert run.error_addr == at
            assert at in run.records
        good, _ = behind.run(addr, at, NoHost(), together=together)
        assert (good.error, good.error_addr) == (EncodeError.NONE, NOWHERE)
        assert good.cycles > 0


@pytest.mark.parametrize("together", [False, True], ids=["in order", "two queues"])
def test_the_host_is_told_of_stops_and_may_go_back(behind, together):
    addr = len(ERRORS) * LIST_BYTES
    host = Told(addr + DESCRIPTOR_BYTES)
    run, host = behind.run(addr, addr + LIST_BYTES, host, together=together)
    assert run.error == EncodeError.NONE
    assert host.numbers == [7, 9, 7, 9]
    assert run.stops == 4


@pytest.mark.parametrize(
    ("addr", "places", "code"),
    [
        (64, 0, PassError.START_PASSES),
        (32, 1, PassError.START_ADDRESS),
        (1 << CONFIG.addr_width, 1, PassError.START_ADDRESS),
        ((1 << CONFIG.addr_width) - 64, 1, PassError.START_ADDRESS),
    ],
)
def test_a_list_that_is_none_is_refused(behind, addr, places, code):
    run, _ = behind.run(addr, addr + places * DESCRIPTOR_BYTES, NoHost())
    assert (run.error.name, run.error_addr, run.cycles) == (code.name, NOWHERE, 0)
    assert behind.run(0, 3 * DESCRIPTOR_BYTES, NoHost())[0].error == EncodeError.NONE


def test_an_aborted_list_stops_and_the_next_one_is_right():
    """The next one begins on what the aborted ones have left, for the emulator too."""
    memory, addr, end = without_stops("plain")
    with machine(memory, dataclasses.replace(FAULTY, stall_probability=0.3)) as behind:
        for cycle in (300, 1500, 4500):
            run, _ = behind.run(addr, end, NoHost(), together=True, abort_cycle=cycle)
            assert run.error == PassError.ABORTED
            assert all(one == 0 or addr <= one < end for one in run.records)
            assert run.cycles == 0  # an error ends all counts
        assert any(run.records)
        expected = run_list(CONFIG, behind.memory()[0], addr, end)
        assert expected.error == EncodeError.NONE
        run, _ = behind.run(addr, end, NoHost(), together=True)
        assert run.error == EncodeError.NONE
        assert run.cycles > cycle
        assert np.array_equal(behind.memory()[0], expected.memory)


def test_what_the_buses_hide_is_refused(behind):
    with pytest.raises(InputError, match="timed must be False behind AXI, not True"):
        behind.run(0, LIST_BYTES, NoHost(), timed=True)
    with pytest.raises(InputError, match=r"must be built with axi=False, lists=True .* axi=True"):
        ListSimulator(CONFIG, np.zeros(64, dtype=np.uint8), simulator=behind.simulator)
