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
from gscn.hw.host.axi import AxiManager
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR
from tests.cosim.test_lists import small_runs
from tests.step_machines import simulator_of
from tests.step_runs import CONFIG

pytestmark = [pytest.mark.cosim, pytest.mark.slow]
AXI = Conditions(axi=True)
FAULTY = Conditions(axi=True, faulty=True)


class NoHost:
    """A host that nothing is asked of."""

    def begin(self, number):
        """Every list is like another."""

    def __call__(self, number, memory):
        """Fail: there is no stop."""
        raise AssertionError(f"no stop must be told, not {number}")


class Changing:
    """A host that changes bytes of memory at the first stop of each list, then acts as another."""

    def __init__(self, host, changes):
        self.host, self.changes, self.number, self.begun = host, changes, 0, False

    def begin(self, number):
        """Take the next change."""
        self.number, self.begun = number, True

    def __call__(self, number, memory):
        """Change memory, then do what the stop asks for."""
        if self.begun:
            for addr, value in self.changes[self.number].items():
                memory[addr] = value
            self.begun = False
        return self.host(number, memory)


def without_stops(method="both"):
    """Return memory, and the bounds of a step's list in it from which all stops are gone."""
    runs, steps = small_runs(method, together=True)
    way, _ = next(iter(steps))
    memory, listing = runs.memory.copy(), runs.lists[way]
    stop = CONTROL_RECORD.dtype.fields["stop"][1]
    for one in listed(memory, listing.addr, listing.end):
        if memory[one.addr + MODE_PLACE] == CONTROL_MODE:
            memory[one.addr + stop : one.addr + stop + 4] = 0
    return memory, listing.addr, listing.end


def machine(memory, conditions, axi=True):
    return ListSimulator(CONFIG, memory, conditions, simulator=simulator_of(CONFIG, axi))


@pytest.mark.parametrize("latency", [4, 40])
def test_a_list_takes_the_cycles_of_a_memory_one_cycle_slower(latency, monkeypatch):
    """In two queues; memory, counters and beats are equal, too, and memory the emulator's."""
    memory, addr, end = without_stops()
    expected = run_list(CONFIG, memory, addr, end)
    assert expected.error == EncodeError.NONE
    with machine(memory, Conditions(axi=True, latency=latency)) as behind:
        run, _ = behind.run(addr, end, NoHost(), together=True)
        assert np.array_equal(behind.memory()[0], expected.memory)
    settings = lists_module.launch_settings

    def slower(*args, **options):
        found = settings(*args, **options)
        return {**found, "write_latency": found["write_latency"] + AxiManager.LATENCY}

    monkeypatch.setattr(lists_module, "launch_settings", slower)
    with machine(memory, Conditions(latency=latency + AxiManager.LATENCY), axi=False) as plain:
        other, _ = plain.run(addr, end, NoHost(), together=True)
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


def operation_in_the_middle(runs, listing, mode):
    """Return name and record of an operation in the middle of a list, of a mode."""
    of_mode = [
        (name, addr)
        for name, addr in listing.records.items()
        if runs.memory[addr + MODE_PLACE] == mode
    ]
    return of_mode[len(of_mode) // 2]


@pytest.mark.parametrize("queue", Queue)
def test_a_broken_record_in_a_list_names_its_operation_and_the_next_list_is_right(queue):
    """The host breaks it at the list's first stop, and mends it at that of the next list."""
    runs, steps = small_runs("plain")
    way, batch = next(iter(steps))
    record = {Queue.ENCODE: ENCODE_DESCRIPTOR, Queue.ARRAY: PASS_DESCRIPTOR}[queue]
    field = {Queue.ENCODE: "t0_format", Queue.ARRAY: "number_format"}[queue]
    _, listing = runs.begin(way, *batch)
    name, at = operation_in_the_middle(runs, listing, {Queue.ENCODE: ENCODE_MODE}.get(queue, 0))
    place = at + record.dtype.fields[field][1]
    changes = [{place: 0xFF}, {place: runs.memory[place]}]
    memory = runs.memory
    runs.host.begin(0)
    with machine(memory, FAULTY) as behind:
        run, _ = behind.run(listing.addr, listing.end, Changing(runs.host, changes))
        assert (run.error, run.error_addr) == (EncodeError.FORMAT, at), name
        # of both queues, the one that failed is at that record; the other one elsewhere
        assert [addr == at for addr in run.records] == [one == queue for one in Queue]
        assert run.stops > 1
        host = Changing(runs.host, changes)
        host.begin(1)
        run, back = behind.run(listing.addr, listing.end, host)
        assert run.error == EncodeError.NONE
        runs.memory, runs.host = behind.memory()[0], back.host
    runs.golden.run()
    runs.compare(way)


def controls(*records):
    """Return memory with control records from 0 on; the list ends with them."""
    memory = np.zeros(4096, dtype=np.uint8)
    for number, fields in enumerate(records):
        content = CONTROL_RECORD.pack(**{"mode": CONTROL_MODE, **fields}).view(np.uint8)
        memory[DESCRIPTOR_BYTES * number : DESCRIPTOR_BYTES * (number + 1)] = content
    return memory, DESCRIPTOR_BYTES * len(records)


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (EncodeError.FORMAT, {"links": 8}),
        (EncodeError.ADDRESS, {"links": 1, "target0": 1}),
        (EncodeError.ORDER, {"wait": 2}),
        (EncodeError.LIST, {"mode": ENCODE_MODE}),
        (PassError.STATIONARY, {"mode": 0}),
        (PassError.MODE, {"mode": 4}),
        (EncodeError.BUS_READ, {"links": 1, "first0": 1 << 20}),
    ],
)
@pytest.mark.parametrize("together", [False, True], ids=["in order", "two queues"])
def test_an_error_is_told_with_its_record_whatever_list_was_before(code, fields, together):
    memory, end = controls({"queue": 1}, {}, {"queue": 1}, fields)
    at = end - DESCRIPTOR_BYTES
    with machine(memory, FAULTY) as behind:
        for _ in range(2):
            run, _ = behind.run(0, end, NoHost(), together=together)
            assert run.error == code
            if code == EncodeError.BUS_READ:
                assert run.error_addr == 0xFFFF_FFFF  # the bus says it, of no record
                assert run.records[Queue.ENCODE] == at
            else:
                assert run.error_addr == at
            good, _ = behind.run(0, at, NoHost(), together=together)
            assert (good.error, good.error_addr) == (EncodeError.NONE, 0xFFFF_FFFF)


class Told:
    """A host that keeps what it is told, and begins once anew."""

    def __init__(self, again):
        self.again, self.numbers = again, []

    def begin(self, number):
        """Every list is like another."""

    def __call__(self, number, memory):
        """Keep the number; at the second stop, begin anew."""
        self.numbers.append(number)
        return self.again if len(self.numbers) == 2 else None


def test_the_host_is_told_of_stops_and_may_go_back():
    memory, end = controls({}, {"stop": 7}, {"queue": 1}, {"stop": 9})
    with machine(memory, AXI) as behind:
        run, host = behind.run(0, end, Told(DESCRIPTOR_BYTES))
        assert host.numbers == [7, 9, 7, 9]
        assert run.stops == 4


@pytest.mark.parametrize("share", [0.02, 0.1, 0.25])
def test_an_aborted_list_stops_and_the_same_one_is_right_afterwards(share):
    """Up to there no pass of a step writes what one before it reads."""
    memory, addr, end = without_stops("plain")
    expected = run_list(CONFIG, memory, addr, end)
    conditions = dataclasses.replace(FAULTY, stall_probability=0.3)
    with machine(memory, conditions) as whole:
        cycles = whole.run(addr, end, NoHost(), together=True)[0].cycles
    with machine(memory, conditions) as behind:
        run, _ = behind.run(addr, end, NoHost(), together=True, abort_cycle=int(share * cycles))
        assert run.error == PassError.ABORTED
        assert all(addr <= one < end for one in run.records)
        assert run.cycles == 0  # an error ends all counts
        again, _ = behind.run(addr, end, NoHost(), together=True)
        assert again.error == EncodeError.NONE
        assert np.array_equal(behind.memory()[0], expected.memory)
        assert again.cycles > 0


@pytest.mark.parametrize(
    ("addr", "places", "code"),
    [
        (64, 0, PassError.START_PASSES),
        (32, 1, PassError.START_ADDRESS),
        (1 << CONFIG.addr_width, 1, PassError.START_ADDRESS),
        ((1 << CONFIG.addr_width) - 64, 1, PassError.START_ADDRESS),
    ],
)
def test_a_list_that_is_none_is_refused(addr, places, code):
    memory, end = controls({}, {"queue": 1})
    with machine(memory, FAULTY) as behind:
        run, _ = behind.run(addr, addr + places * DESCRIPTOR_BYTES, NoHost())
        assert (run.error.name, run.error_addr) == (code.name, 0xFFFF_FFFF)
        assert not behind.memory()[1].any()
        assert behind.run(0, end, NoHost())[0].error == EncodeError.NONE


def test_what_the_buses_hide_is_refused():
    memory, end = controls({})
    with machine(memory, AXI) as behind:
        with pytest.raises(InputError, match="timed must be False behind AXI, not True"):
            behind.run(0, end, NoHost(), timed=True)
        with pytest.raises(InputError, match="abort_cycle must be 0 but for faulty lists"):
            behind.run(0, end, NoHost(), abort_cycle=9)
    with pytest.raises(InputError, match=r"must be built with axi=True, lists=True .* axi=False"):
        machine(memory, AXI, axi=False)
