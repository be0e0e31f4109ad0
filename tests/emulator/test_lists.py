"""Lists of records: tops, stops, what waits for what, and errors."""

from __future__ import annotations

import random
from copy import copy
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.array import array
from gscn.control import CONTROL_MODE, CONTROL_RECORD, Queue
from gscn.emulator.list_records import MODE_PLACE, control_of, listed, races
from gscn.emulator.lists import run_list
from gscn.encode import ENCODE_MODE, ENCODE_STATE, EncodeError
from gscn.lowering.step.layers import Training
from gscn.pass_errors import PassError
from tests.step_networks import small
from tests.step_runs import Runs

CONFIG = array("small").with_overrides(["float_formats=bf16"])
RECORD = 256
STATES = 4096


def memory_of(*records):
    """Return memory with control records, and 16 states behind them; the list ends with them."""
    memory = np.zeros(STATES + 64 * 16, dtype=np.uint8)
    for number, fields in enumerate(records):
        content = CONTROL_RECORD.pack(**{"mode": CONTROL_MODE, **fields}).view(np.uint8)
        memory[RECORD * number : RECORD * (number + 1)] = content
    return memory, RECORD * len(records)


def state(memory, number, **fields):
    """Set fields of a state; return its address."""
    record = np.zeros(1, dtype=ENCODE_STATE.dtype)
    for name, value in fields.items():
        record[name] = value
    addr = STATES + 64 * number
    memory[addr : addr + 64] = record.view(np.uint8)
    return addr


@given(
    st.integers(0, 254), st.integers(0, 254), st.integers(-600, 600), st.booleans(),
)  # fmt: skip
def test_a_top_is_the_sum_of_largest_exponents_and_a_margin(first, second, margin, alone):
    memory, end = memory_of({
        "links": 1, "target0": STATES + 2 * 64 + 24, "first0": STATES,
        "second0": 0 if alone else STATES + 64, "margin0": margin,
    })  # fmt: skip
    state(memory, 0, largest=first)
    state(memory, 1, largest=second)
    result = run_list(CONFIG, memory, 0, end)
    assert (result.error, result.error_addr) == (EncodeError.NONE, end)
    total = margin + max(first, 1) + (0 if alone else max(second, 1))
    found = ENCODE_STATE.unpack(result.memory[STATES + 128 : STATES + 192])[0]
    assert found["sum_top"] == min(max(total, 0), 1023)
    changed = np.flatnonzero(result.memory != memory)
    assert set(changed) <= {STATES + 2 * 64 + 24, STATES + 2 * 64 + 25}


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (EncodeError.FORMAT, {"links": 8}),
        (EncodeError.FORMAT, {"queue": 2}),
        (EncodeError.ADDRESS, {"links": 1, "target0": 1}),
        (EncodeError.ADDRESS, {"links": 1, "first0": 32}),
        (EncodeError.ADDRESS, {"links": 1, "second0": 1 << 62}),
        (EncodeError.ORDER, {"wait": 2}),
        (EncodeError.BUS_READ, {"links": 1, "first0": 1 << 20}),
    ],
)
def test_every_bad_field_is_refused_by_its_code(error, fields):
    memory, end = memory_of({"queue": 1}, {"queue": 0, **fields}, {})
    for choose in (None, lambda ready: ready[0]):
        result = run_list(CONFIG, memory, 0, end, choose=choose)
        assert (result.error, result.error_addr) == (error, RECORD)
        assert np.array_equal(result.memory, memory)


def test_a_record_must_end_within_the_list_and_passes_have_their_own_errors():
    memory, end = memory_of({}, {"mode": ENCODE_MODE})
    result = run_list(CONFIG, memory, 0, end)
    assert (result.error, result.error_addr) == (EncodeError.LIST, RECORD)
    memory, end = memory_of({}, {"mode": 0})
    result = run_list(CONFIG, memory, 0, end)
    assert (result.error, result.error_addr) == (PassError.STATIONARY, RECORD)
    memory, end = memory_of({"mode": 4})
    assert run_list(CONFIG, memory, 0, end).error == PassError.MODE


def test_the_host_is_told_of_stops_and_may_go_back():
    memory, end = memory_of({}, {"stop": 7}, {"queue": 1}, {"stop": 9})
    told = []

    def host(number, _):
        told.append(number)
        return 0 if len(told) == 2 else None

    assert run_list(CONFIG, memory, 0, end, host).error == EncodeError.NONE
    assert told == [7, 9, 7, 9]


def test_a_queue_waits_for_as_many_records_of_the_other_as_it_says():
    memory, end = memory_of({"queue": 1}, {"wait": 1, "stop": 1}, {"queue": 1, "wait": 2})
    order = []

    def choose(ready):
        order.append(list(ready))
        return ready[-1]

    # What waits for two of the encode unit's, of which only one is before it, is an error.
    result = run_list(CONFIG, memory, 0, end, choose=choose)
    assert (result.error, result.error_addr) == (EncodeError.ORDER, 2 * RECORD)
    memory, end = memory_of({"queue": 1}, {"wait": 1, "stop": 1}, {"queue": 1, "wait": 1})
    order.clear()
    assert run_list(CONFIG, memory, 0, end, choose=choose).error == EncodeError.NONE
    assert order == [[Queue.ARRAY], [Queue.ENCODE], [Queue.ARRAY]]


@pytest.fixture(scope="module")
def network():
    """Return a network whose lists have what two queues wait for."""
    reuse, density = (0.15, 0.15), Fraction(1, 10)
    ways = {
        "dense": Training(density=density, refresh=True, reuse=reuse),
        "keep": Training(density=density, reuse=reuse, reuses=True),
    }
    runs = Runs(small(), (2, 3, 8, 8), ways, together=True)
    runs.set_weights(1)
    return runs


def test_any_permitted_order_gives_the_same_memory(network):
    generator = np.random.default_rng(0)
    for way in ("dense", "keep"):
        images = generator.standard_normal((2, 3, 8, 8)).astype(np.float32)
        before = network.memory
        scalars = {name: copy(value) for name, value in vars(network.host).items()}
        network.run(way, images, np.array([1, 2]), 0)
        in_order = network.memory
        listing = network.lists[way]
        for seed in range(3):
            vars(network.host).update({name: copy(value) for name, value in scalars.items()})
            network.host.batch = (network.golden.tensors["images"], np.array([1, 2]), 0)
            network.host.follow(network.steps[way], listing)
            result = run_list(
                network.config, before, listing.addr, listing.end, network.host,
                random.Random(seed).choice,
            )  # fmt: skip
            assert result.error == EncodeError.NONE
            assert np.array_equal(result.memory, in_order)


def test_what_two_queues_wait_for_leaves_no_race_and_none_of_it_can_be_left_out(network):
    for listing in network.lists.values():
        memory = network.memory.copy()
        assert races(memory, listing.addr, listing.end) == []
        waiting = [
            one for one in listed(memory, listing.addr, listing.end)
            if memory[one.addr + MODE_PLACE] == CONTROL_MODE and control_of(memory, one.addr).wait
        ]  # fmt: skip
        assert len(waiting) > 10
        at = CONTROL_RECORD.dtype.fields["wait"][1]
        for one in waiting[::5]:
            without = memory.copy()
            without[one.addr + at : one.addr + at + 4] = 0
            assert races(without, listing.addr, listing.end), one


def test_queues_that_wait_for_nothing_have_races():
    runs = Runs(small(), (1, 3, 8, 8), {"plain": Training()})
    listing = runs.lists["plain"]
    assert races(runs.memory, listing.addr, listing.end)
