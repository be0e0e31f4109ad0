"""Two queues wait for each other, and share their ways to memory."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from gscn.control import Queue
from gscn.errors import InputError
from gscn.perf.estimate.step_costs import PassCost, costs, step_records
from gscn.perf.estimate.step_schedule import (
    CONTROL,
    WAITING,
    Queued,
    Span,
    Turns,
    Ways,
    in_order,
    schedule,
)
from tests.golden.oracle.test_step import METHODS, batches
from tests.step_machines import MachineRuns
from tests.step_networks import small

KEEP_TOLERANCE, SELECT_TOLERANCE = 0.06, 0.25
"""Shares of a step of small maps by which a schedule may differ from the Verilog."""


def encode(cycles, *, kind="maps", wait=0, **ways):
    return Queued("e", kind, Queue.ENCODE, cycles, Ways(**ways), wait)


def array(cycles, *, kind="convolution", wait=0, **ways):
    return Queued("a", kind, Queue.ARRAY, cycles, Ways(**ways), wait)


def random_list(generator, count):
    """Return a list of whole numbers of cycles, whose passes use no way to memory."""
    found, before = [], dict.fromkeys(Queue, 0)
    for _ in range(count):
        queue = Queue(int(generator.integers(2)))
        others = before[Queue(1 - queue)]
        wait = int(generator.integers(others + 1)) if generator.random() < 0.4 else 0
        kind = CONTROL if wait else f"kind {queue}"
        found.append(Queued("", kind, queue, int(generator.integers(6)), wait=wait))
        before[queue] += 1
    return found


def by_cycles(records):
    """Return the cycles of a list whose passes use no way to memory, run cycle by cycle."""
    left: dict[Queue, list] = {queue: [] for queue in Queue}
    for one in records:
        left[one.queue].append([one.cycles, one.wait])
    ended = dict.fromkeys(Queue, 0)
    now = 0
    while any(left.values()):
        changed = True
        while changed:
            changed = False
            for queue, own in left.items():
                if own and own[0][0] == 0 and own[0][1] <= ended[Queue(1 - queue)]:
                    own.pop(0)
                    ended[queue] += 1
                    changed = True
        for queue, own in left.items():
            if own and own[0][1] <= ended[Queue(1 - queue)]:
                own[0][0] -= 1
        now += any(left.values())
    return now


@pytest.mark.parametrize("seed", range(20))
def test_lists_take_as_many_cycles_as_run_cycle_by_cycle(seed):
    records = random_list(np.random.default_rng(seed), 40)
    assert schedule(records).cycles == pytest.approx(by_cycles(records))


@pytest.mark.parametrize("seed", range(20))
def test_two_queues_take_at_least_the_longer_and_at_most_both(seed):
    records = random_list(np.random.default_rng(100 + seed), 40)
    made = schedule(records)
    each = [sum(one.cycles for one in records if one.queue == queue) for queue in Queue]
    assert max(each) <= made.cycles <= in_order(records).cycles == sum(each)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_exposed_and_what_the_array_runs_are_the_whole_list(seed):
    made = schedule(random_list(np.random.default_rng(200 + seed), 40))
    assert sum(made.exposed().values()) + made.busy(Queue.ARRAY) == pytest.approx(made.cycles)


def test_exposed_cycles_have_the_kind_of_what_runs_while_the_array_has_nothing():
    made = schedule([
        encode(10, kind="operands"), array(0, kind=CONTROL, wait=1), array(100),
        encode(30, kind="hidden"), encode(0, kind=CONTROL, wait=2), encode(7, kind="update"),
        array(0, kind=CONTROL, wait=4), array(5),
    ])  # fmt: skip
    assert made.exposed() == {"operands": 10, "update": 7}
    assert made.spans[-1] == Span(117, 122)


def test_the_array_may_wait_while_nothing_runs():
    made = schedule([encode(0, kind="none"), array(5), array(3, kind=CONTROL, wait=1), array(5)])
    assert made.exposed() == {WAITING: 3}


def test_passes_that_want_less_than_a_whole_way_do_not_slow_each_other():
    records = [encode(100, read=0.5, write=0.9), array(100, read=0.5, write=0.1)]
    assert schedule(records).cycles == 100


@pytest.mark.parametrize(
    ("turns", "spans"),
    [
        # Half the way each while both run: 75 of the array's are done after 150.
        (Turns.EQUAL, (Span(0, 150), Span(0, 175))),
        # None of it is left for the other before the array ends.
        (Turns.ARRAY, (Span(0, 175), Span(0, 100))),
    ],
)
def test_passes_that_want_a_whole_way_take_turns_or_the_array_has_it(turns, spans):
    made = schedule([encode(75, read=1.0), array(100, read=1.0)], turns)
    assert made.spans == spans


def test_a_pass_is_as_slow_as_what_the_other_leaves_of_its_scarcest_way():
    made = schedule([encode(80, read=0.2, dram=1.0), array(100, read=0.9, dram=0.2)])
    # 0.8 of DRAM for one, 0.8 of the 0.9 of reading for the other; its last 11.1 cycles alone.
    assert made.spans[0] == pytest.approx(Span(0, 100))
    assert made.spans[1] == pytest.approx(Span(0, 100 + 100 * (1 - 0.8 / 0.9)))


def test_waiting_for_what_is_not_before_is_an_error():
    with pytest.raises(InputError, match="must wait for at most 1 records"):
        schedule([encode(1), array(1, wait=2)])


def test_an_empty_list_takes_no_time():
    assert schedule([]).cycles == 0
    assert schedule([]).exposed() == {}


@pytest.mark.cosim
@pytest.mark.slow
def test_a_step_on_the_verilog_takes_as_long_as_its_schedule():
    ways, _ = METHODS["both"]
    order = ("dense", "keep", "select")
    runs = MachineRuns(small(), (3, 3, 8, 8), ways, together=True)
    runs.set_weights(1)
    shares = {}
    for way, batch in zip(order, batches(2, (3, 3, 8, 8), len(order)), strict=True):
        runs.run(way, *batch)
        run, names = runs.flags[-1], runs.lists[way].records
        at = {addr: name for name, addr in names.items()}
        measured: Counter[str] = Counter()
        for one in run.taken:
            measured[at.get(one.addr, "").partition("/")[0]] += one.end - one.begin
        kept = {name: float(np.mean(codes != 0)) for name, codes in runs.golden.strips.items()}
        found = costs(
            step_records(runs.steps[way], runs.config), runs.config,
            lambda op, measured=measured: PassCost(measured[op.name], 0.0, 0.0, 0.0), kept,
        )  # fmt: skip
        made = schedule([one.queued for one in found])
        shares[way] = made.cycles / run.cycles
    # Selections are taken to end in the last bin, the longest way, which is much for small maps.
    assert shares.pop("keep") == pytest.approx(1, abs=KEEP_TOLERANCE)
    for way, share in shares.items():
        assert 1 - KEEP_TOLERANCE < share < 1 + SELECT_TOLERANCE, way
