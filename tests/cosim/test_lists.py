"""Whole training steps on the generated Verilog equal golden steps; the host touches little."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from benchmarks.encode_step import digits, resnet20
from benchmarks.encode_training import batches, weights
from gscn.control import Queue
from gscn.cosim.conditions import Conditions
from gscn.cosim.errors import SimulationError, SimulationTimeout
from gscn.cosim.lists import taken_records
from gscn.lowering.step.arranging import arranged
from gscn.lowering.step.lists import dense_bytes
from gscn.step import Convolve, Encode
from tests.golden.oracle.test_step import METHODS
from tests.golden.oracle.test_step import batches as random_batches
from tests.step_machines import MachineRuns
from tests.step_networks import grouped, large, small

pytestmark = pytest.mark.cosim
SIZE = (3, 3, 8, 8)


def small_runs(method, **options):
    """Return runs of a network with layers of every kind, and batches for the method's steps."""
    ways, order = METHODS[method]
    runs = MachineRuns(small(), SIZE, ways, penalty=1e-2, **options)
    runs.set_weights(1)
    return runs, zip(order, random_batches(2, SIZE, len(order)), strict=True)


def test_steps_by_swat_and_resprop_in_two_queues_equal_the_golden_ones():
    runs, steps = small_runs("both", together=True)
    told = []
    runs.machine.watcher = told.append
    for way, batch in [*steps][:2]:
        runs.run(way, *batch)
    assert any("the encode queue at " in text for text in told)
    assert all(run.stops > 0 for run in runs.flags)
    names = {addr: name for name, addr in runs.lists["keep"].records.items()}
    taken = runs.flags[1].taken
    for queue in Queue:
        own = [one for one in taken if one.queue == queue]
        assert all(a.end == b.begin for a, b in itertools.pairwise(own))
        assert own[-1].end == runs.flags[1].cycles
        assert [one.addr for one in own] == sorted(one.addr for one in own)
    found = {names[one.addr]: one for one in taken if one.addr in names}
    steps = dict(zip(runs.steps, arranged(runs.steps.values(), runs.config), strict=True))
    for op in steps["keep"].operations:
        if isinstance(op, Convolve | Encode):
            queue = Queue.ARRAY if isinstance(op, Convolve) else Queue.ENCODE
            assert found[op.name].queue == queue
            assert found[op.name].end - found[op.name].begin > 10
    assert not any(run.flags["accumulator_overflow"] for run in runs.flags)


@pytest.mark.slow
@pytest.mark.parametrize("together", [False, True], ids=["in order", "two queues"])
@pytest.mark.parametrize("method", METHODS)
def test_steps_by_every_method_equal_the_golden_ones(method, together):
    runs, steps = small_runs(method, together=together)
    for way, batch in steps:
        runs.run(way, *batch)


@pytest.mark.slow
def test_steps_of_a_network_for_large_images_equal_the_golden_ones():
    size = (2, 3, 16, 16)
    ways, order = METHODS["plain"]
    runs = MachineRuns(large(), size, ways, together=True)
    runs.set_weights(5)
    for way, batch in zip(order[:2], random_batches(6, size, 2), strict=True):
        runs.run(way, *batch)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["both", "dst"])
def test_steps_of_convolutions_of_groups_equal_the_golden_ones(method):
    size = (1, 3, 6, 6)
    ways, order = METHODS[method]
    runs = MachineRuns(grouped(6), size, ways, penalty=1e-2, together=True)
    runs.set_weights(1)
    for way, batch in zip(order[:2], random_batches(2, size, 2), strict=True):
        runs.run(way, *batch)


@pytest.mark.slow
def test_two_queues_take_fewer_cycles_than_one():
    cycles = {}
    for together in (False, True):
        runs, steps = small_runs("plain", together=together)
        way, batch = next(iter(steps))
        runs.run(way, *batch)
        cycles[together] = runs.flags[0].cycles
    assert cycles[True] < cycles[False]


def test_a_list_that_takes_too_long_is_given_up():
    runs, steps = small_runs("plain", conditions=Conditions(timeout_cycles=5000))
    way, batch = next(iter(steps))
    with pytest.raises(SimulationTimeout, match=r"list 0 .*not done after 5000 cycles"):
        runs.run(way, *batch)


def test_a_host_that_fails_is_an_error_that_names_the_list():
    runs, steps = small_runs("plain")
    runs.host.listing = None  # not followed
    way, batch = next(iter(steps))
    runs.host._begin = None
    with pytest.raises(SimulationError, match=r"ended during list 0, the encode queue at "):
        runs.run(way, *batch)


@pytest.mark.parametrize("stops", [pytest.param(1, marks=pytest.mark.slow), 9])
def test_a_simulator_killed_in_a_step_is_named_by_its_operation_and_the_next_step_is_right(stops):
    runs, steps = small_runs("plain")
    way, batch = next(iter(steps))
    runs.kills_at = stops
    with pytest.raises(SimulationError) as caught:
        runs.run(way, *batch)
    at = re.search(r"the encode queue at (\S+), the array queue at (\S+):", str(caught.value))
    assert at is not None
    assert {at[1], at[2]} & set(runs.lists[way].records)
    runs.kills_at = None
    runs.run(way, *batch)


@pytest.mark.slow
def test_a_hundred_steps_of_the_digits_network_equal_the_golden_ones():
    ways, _ = METHODS["both"]
    size = (32, 1, 8, 8)
    runs = MachineRuns(digits(), size, ways, rate=0.1, together=True)
    for name, value in weights().items():
        shape = runs.golden.step.tensors[f"w.{name}"].shape
        runs.put_weights(f"w.{name}", value.reshape(shape))
    for number, (images, labels) in enumerate(batches(100)):
        way = "dense" if number == 0 else "select" if number % 10 == 0 else "keep"
        runs.run(way, images.numpy().reshape(size), labels.numpy(), number % size[0])
    assert np.mean(runs.host.losses[-10:]) < np.mean(runs.host.losses[:10])


@pytest.mark.slow
def test_ten_steps_of_resnet20_equal_the_golden_ones():
    ways, _ = METHODS["both"]
    size = (8, 3, 32, 32)
    runs = MachineRuns(resnet20(32), size, ways, rate=0.1, together=True)
    runs.set_weights(3)
    for number, batch in enumerate(random_batches(4, size, 10)):
        runs.run("dense" if number == 0 else "keep", *batch)
    dense = dense_bytes(runs.steps["keep"], runs.lists["keep"].memory)
    touched = sum(runs.host.touched.values()) - runs.host.touched["images"]
    assert touched <= 0.01 * 10 * dense


@pytest.mark.parametrize(
    ("together", "ends"), [(True, [30, 50, 50]), (False, [10, 30, 50])], ids=["two queues", "one"]
)
def test_a_record_is_over_when_its_queue_takes_the_next_or_another_if_there_is_one_at_a_time(
    together, ends
):
    taken = taken_records([[2, 0, 64], [10, 1, 128], [30, 0, 256]], 50, together=together)
    assert [one.begin for one in taken] == [2, 10, 30]
    assert [one.end for one in taken] == ends
    assert [one.queue for one in taken] == [Queue.ENCODE, Queue.ARRAY, Queue.ENCODE]
