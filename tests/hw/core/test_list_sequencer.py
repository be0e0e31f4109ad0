# amaranth: UnusedElaboratable=no
"""Lists of both kinds of passes and of control records are run as the emulator runs them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.control import CONTROL_MODE, CONTROL_RECORD, Queue
from gscn.emulator.list_records import MODE_PLACE, control_of, listed
from gscn.encode import ENCODE_MODE, EncodeError
from gscn.hw.core.list_queue import ListQueue
from gscn.hw.core.list_sequencer import ListSequencer
from tests.hw.core.lists import (
    FAILURES,
    LARGEST,
    LIST,
    PLACE,
    STATES,
    RandomList,
    awaited_passes,
    do_pass,
    golden,
    halfword,
)
from tests.hw.memory_port import MemoryPort
from tests.hw.streams import reused, simulate

# Long: one bench for records of every kind, stops and errors, which share its runs.
TINY = ARRAYS["tiny"]
SEEDS = range(4)
MARGIN = int(CONTROL_RECORD.dtype.fields["margin0"][1])
both_ways = pytest.mark.parametrize("two_queues", [False, True], ids=["in order", "two queues"])


@dataclass
class Outcome:
    """What a list did."""

    memory: np.ndarray
    error: int = 0
    error_addr: int = 0
    begun: list = field(default_factory=list)
    """Of passes: (address, passes that had ended)."""
    stops: list = field(default_factory=list)
    ends: list = field(default_factory=list)
    """(cycle, queue) of each pass's end."""
    begins: list = field(default_factory=list)
    cycles: int = 0


def run(memory, end, *, two_queues, seed=0, config=TINY, host=None, first=LIST, **times):
    """Run a list by the sequencer, with units that do `do_pass` after a while.

    `spans`, `latency`: the fewest and most cycles of a pass, and of memory; `answer`: choices of
    those of the host.
    """
    # Long: its testbenches share what has happened so far
    spans, answer_after = times.get("spans", (1, 60)), times.get("answer", (0, 5, 40))
    dut = reused(ListSequencer, config=config)
    rng = random.Random(seed)
    port = MemoryPort(config, memory.copy(), rng, latency=times.get("latency", (3, 12)))
    out = Outcome(memory=port.data)
    ended = set()
    clock = [0]

    async def ticks(ctx):
        while True:
            await ctx.tick()
            clock[0] += 1

    def unit(queue, start, busy, error):
        async def process(ctx):
            while True:
                for _ in range(rng.choice([0, 0, 3]) if seed else 0):
                    await ctx.tick()
                ctx.set(start.ready, 1)
                taken = False
                while not taken:
                    _, _, taken, p = await ctx.tick().sample(start.valid, start.p)
                ctx.set(start.ready, 0)
                ctx.set(busy, 1)
                addr = p.addr
                assert (p.list_range.begin, p.list_range.end) == (LIST, end)
                assert queue == Queue.ENCODE or p.count == 1
                out.begun.append((addr, set(ended)))
                out.begins.append((clock[0], queue))
                for _ in range(rng.randint(*spans)):
                    await ctx.tick()
                code = do_pass(port.data, addr)
                ctx.set(error, code)
                if code:
                    return
                ended.add(addr)
                out.ends.append((clock[0], queue))
                ctx.set(busy, 0)
                await ctx.tick()

        return process

    async def answers(ctx):
        while True:
            await ctx.tick()
            number = ctx.get(dut.stop)
            if not number:
                continue
            for _ in range(rng.choice(answer_after)):
                await ctx.tick()
            assert ctx.get(dut.stop) == number
            out.stops.append(number)
            again = host(number, port.data) if host is not None else None
            ctx.set(dut.answer.p, {"anew": again is not None, "addr": again or 0})
            ctx.set(dut.answer.valid, 1)
            await ctx.tick().until(dut.answer.ready)
            ctx.set(dut.answer.valid, 0)

    async def testbench(ctx):
        places = (end - LIST) // PLACE
        ctx.set(
            dut.start.p,
            {"addr": LIST, "places": places, "first": first, "two_queues": two_queues},
        )
        ctx.set(dut.start.valid, 1)
        await ctx.tick().until(dut.start.ready)
        ctx.set(dut.start.valid, 0)
        assert ctx.get(dut.busy)
        while ctx.get(dut.busy) and not ctx.get(dut.error):
            await ctx.tick()
        out.cycles = clock[0]
        out.error, out.error_addr = ctx.get(dut.error), ctx.get(dut.error_addr)
        busy, begun = bool(out.error), len(out.begun)
        for _ in range(100):
            await ctx.tick()
            assert ctx.get(dut.busy) == busy
        assert len(out.begun) == begun

    units = (
        unit(Queue.ENCODE, dut.start_encode, dut.encode_busy, dut.encode_error),
        unit(Queue.ARRAY, dut.start_array, dut.array_busy, dut.array_error),
    )
    simulate(
        dut, testbench, cycles=12_000, background=[*port.processes(dut), *units, answers, ticks]
    )
    return out


def records_of(listing, count, **control):
    for _ in range(count):
        listing.add_any(**control)
    return listing


def check_order(out, memory, end, *, two_queues):
    """Require that passes begin in an order that is permitted."""
    records = listed(memory, LIST, end)
    queue_of = {one.addr: one.queue for one in records}
    passes = [one.addr for one in records if memory[one.addr + MODE_PLACE] != CONTROL_MODE]
    must = awaited_passes(memory, end)
    for place, (addr, ended) in enumerate(out.begun):
        before = {one for one in passes if one < addr and one not in ended}
        if two_queues:
            assert must[addr] <= ended
            before = {one for one in before if queue_of[one] == queue_of[addr]}
        assert not before, f"record {place} began before {before} had ended"


@both_ways
@pytest.mark.parametrize("seed", SEEDS)
def test_any_list_leaves_the_memory_of_the_emulator(seed, two_queues):
    listing = records_of(RandomList(seed), 12)
    memory, end = listing.memory(), listing.end
    config = TINY.with_overrides([f"mem_width={64 << seed % 4}", "drain_width=1"])
    out = run(memory, end, two_queues=two_queues, seed=seed, config=config)
    expected = golden(config, memory, LIST, end)
    assert (out.error, expected.error) == (EncodeError.NONE, EncodeError.NONE)
    assert np.array_equal(out.memory, expected.memory)
    assert len(out.begun) == sum(
        memory[one.addr + MODE_PLACE] != CONTROL_MODE for one in listed(memory, LIST, end)
    )
    check_order(out, memory, end, two_queues=two_queues)


@pytest.mark.parametrize("seed", SEEDS)
def test_stops_are_told_and_a_list_begins_anew_in_order(seed):
    rng = random.Random(seed)
    listing = RandomList(seed)
    for number in range(1, 12):
        listing.add_any(stop=rng.choice([0, number]))
    listing.add_control(stop=99)
    memory, end = listing.memory(), listing.end
    records = [one.addr for one in listed(memory, LIST, end)]

    def host():
        choice, told = random.Random(seed), []

        def answer(number, content):
            told.append(number)
            content[STATES[0]] += 1
            again = len(told) < 5 and choice.random() < 0.6
            return choice.choice(records) if again or len(told) == 1 else None

        return answer, told

    first, told = host()
    begin = records[2] if seed % 2 else LIST
    out = run(memory, end, two_queues=False, seed=seed, host=first, first=begin)
    second, expected_told = host()
    expected = golden(TINY, memory, LIST, end, host=second, begin=begin)
    assert told == expected_told
    assert np.array_equal(out.memory, expected.memory)


@pytest.mark.parametrize("seed", SEEDS)
def test_both_queues_go_back_when_a_list_begins_anew(seed):
    rng = random.Random(seed)
    listing = RandomList(seed, fresh=True)
    for number in range(1, 14):
        listing.add_any(stop=rng.choice([0, number]), random_links=rng.choice([0, 1, 2]))
    listing.add_control(stop=99, queue=seed % 2)
    memory, end = listing.memory(), listing.end
    records = [one.addr for one in listed(memory, LIST, end)]
    told = []

    def host(number, _):
        told.append(number)
        return records[rng.randrange(6)] if len(told) in (1, 3) else None

    out = run(memory, end, two_queues=True, seed=seed, host=host)
    assert out.error == EncodeError.NONE
    assert np.array_equal(out.memory, golden(TINY, memory, LIST, end).memory)
    stops = CONTROL_RECORD.unpack(memory[LIST:end])  # every place, of which some are no controls
    every = {
        int(stops["stop"][(one - LIST) // PLACE])
        for one in records
        if memory[one + MODE_PLACE] == CONTROL_MODE
    } - {0}
    assert set(told) == every
    assert len(told) > len(every) or len(every) == 1


BAD_CONTROLS = [
    (EncodeError.FORMAT, {"links": 8}),
    (EncodeError.FORMAT, {"queue": 2}),
    (EncodeError.ADDRESS, {"links": 1, "target0": 65, "first0": 64}),
    (EncodeError.ADDRESS, {"links": 5, "first4": 32}),
    (EncodeError.ADDRESS, {"links": 1, "second0": 1 << 62}),
    (EncodeError.ADDRESS, {"links": 7, "target6": 1 << TINY.addr_width}),
    (EncodeError.ORDER, {"wait": 99}),
    (EncodeError.ADDRESS, {"wait": 99, "links": 1, "target0": 65}),
]


@both_ways
@pytest.mark.parametrize("kind", range(len(BAD_CONTROLS) + 4))
def test_the_first_error_ends_a_list(kind, two_queues):
    listing = RandomList(kind, fresh=True)
    records_of(listing, 4, random_links=1)
    if kind < len(BAD_CONTROLS):
        _, fields = BAD_CONTROLS[kind]
        listing.add_control(**{"wait": 0, "random_links": 0, **fields})
    elif kind < len(BAD_CONTROLS) + 3:
        mode = (0, ENCODE_MODE, 4)[kind - len(BAD_CONTROLS)]
        listing.add_pass(mode, fails=True)
    failing = int(listed(listing.memory(), LIST, listing.end)[-1].addr)
    if kind == len(BAD_CONTROLS) + 3:
        failing = listing.end
        listing.add_pass(ENCODE_MODE)
        listing.content = listing.content[:-PLACE]
    else:
        records_of(listing, 3, random_links=1)
    memory, end = listing.memory(), listing.end
    expected = golden(TINY, memory, LIST, end)
    assert expected.error
    assert expected.error_addr == failing
    if kind < len(BAD_CONTROLS):
        assert expected.error == BAD_CONTROLS[kind][0]
    out = run(memory, end, two_queues=two_queues, seed=kind)
    assert (out.error, out.error_addr) == (expected.error, failing)
    if two_queues:
        # nothing is written twice: more than the other queue could do, in any order, is not
        (failing_queue,) = (one.queue for one in listed(memory, LIST, end) if one.addr == failing)

        def others_first(ready):
            return min(ready, key=lambda queue: queue == failing_queue)

        expected = golden(TINY, memory, LIST, end, choose=others_first)
        changed = out.memory != memory
        assert np.array_equal(out.memory[changed], expected.memory[changed])
    else:
        assert np.array_equal(out.memory, expected.memory)
    check_order(out, memory, end, two_queues=two_queues)


def test_a_record_waited_for_may_change_the_one_that_waits():
    listing = RandomList(0)
    listing.add_pass(0)
    listing.add_control(queue=Queue.ARRAY, wait=0, random_links=1)
    listing.add_control(queue=Queue.ENCODE, wait=2, random_links=1)
    memory, end = listing.memory(), listing.end
    margin = LIST + 2 * PLACE + MARGIN
    memory[LIST + PLACE : LIST + PLACE + 8].view("<u8")[:] = margin
    halfword(memory, LIST + PLACE + MARGIN)[:] = 100
    halfword(memory, margin)[:] = 0
    out = run(memory, end, two_queues=True, spans=(200, 200))
    assert np.array_equal(out.memory, golden(TINY, memory, LIST, end).memory)


def test_a_link_reads_what_the_one_before_has_written():
    listing = RandomList(0)
    listing.add_control(
        links=2, random_links=0, wait=0, target0=STATES[1] + LARGEST, first0=STATES[0],
        target1=STATES[3] + LARGEST, first1=STATES[1], second1=STATES[2], margin0=7,
    )  # fmt: skip
    memory, end = listing.memory(), listing.end
    out = run(memory, end, two_queues=True, latency=(40, 40))
    expected = golden(TINY, memory, LIST, end).memory
    assert np.array_equal(out.memory, expected)
    assert halfword(expected, STATES[1] + LARGEST) != halfword(memory, STATES[1] + LARGEST)


def test_a_stop_that_waits_for_another_is_told_though_the_list_begins_anew_behind_it():
    listing = RandomList(0)
    listing.add_pass(ENCODE_MODE)
    listing.add_control(queue=Queue.ENCODE, wait=0, stop=5)
    listing.add_control(queue=Queue.ARRAY, wait=0, stop=6)
    memory, end = listing.memory(), listing.end
    told = []

    def host(number, _):
        told.append(number)
        return end - PLACE if told == [6] else None

    out = run(memory, end, two_queues=True, host=host, spans=(30, 30), answer=(200,))
    assert told[0] == 6
    assert sorted(told) == [5, 6, 6]
    assert np.array_equal(out.memory, golden(TINY, memory, LIST, end).memory)


def test_a_record_that_waits_does_not_hold_up_a_list_that_begins_anew():
    listing = RandomList(0, fresh=True)
    listing.add_control(queue=Queue.ARRAY, wait=0, stop=6, random_links=1)
    listing.add_pass(0)
    listing.add_control(queue=Queue.ENCODE, wait=2, random_links=2)
    memory, end = listing.memory(), listing.end
    told = []

    def host(number, _):
        told.append(number)
        return LIST if len(told) == 1 else None

    out = run(memory, end, two_queues=True, host=host, answer=(200,))
    assert told == [6, 6]
    assert np.array_equal(out.memory, golden(TINY, memory, LIST, end).memory)


def test_a_record_whose_stop_was_told_ends_though_the_other_queue_fails():
    listing = RandomList(0, fresh=True)
    listing.add_control(queue=Queue.ENCODE, wait=0, stop=5, random_links=2)
    listing.add_pass(ENCODE_MODE)
    listing.add_pass(0, fails=True)
    memory, end = listing.memory(), listing.end
    failing = end - PLACE
    out = run(memory, end, two_queues=True, spans=(150, 150), answer=(300,))
    assert (out.error, out.error_addr, out.stops) == (FAILURES[Queue.ARRAY], failing, [5])
    record = memory[LIST : LIST + PLACE]
    alone = memory[: LIST + PLACE]
    assert control_of(record, 0).links
    expected = golden(TINY, alone, LIST, LIST + PLACE)
    assert np.array_equal(out.memory[: len(alone)], expected.memory)


def test_of_two_errors_the_first_is_told_though_the_encode_unit_fails_too():
    listing = RandomList(0, fresh=True)
    listing.add_pass(0, fails=True)
    failing = listing.end - PLACE
    listing.add_pass(ENCODE_MODE, fails=True)
    out = run(listing.memory(), listing.end, two_queues=True, spans=(150, 150))
    assert [queue for _, queue in out.begins] == [Queue.ARRAY, Queue.ENCODE]
    assert (out.error, out.error_addr) == (FAILURES[Queue.ARRAY], failing)


def test_an_empty_list_and_one_of_which_nothing_is_left_end():
    listing = records_of(RandomList(1), 3)
    memory, end = listing.memory(), listing.end
    for last, first in ((LIST, LIST), (end, end)):
        out = run(memory, last, two_queues=True, first=first)
        assert out.error == EncodeError.NONE
        assert not out.begun
        assert np.array_equal(out.memory, memory)


def test_a_pass_follows_another_of_its_queue_without_delay_if_it_was_found_meanwhile():
    listing = RandomList(2)
    for _ in range(4):
        listing.add_pass(0)
    for _ in range(4):
        listing.add_pass(ENCODE_MODE)
    out = run(listing.memory(), listing.end, two_queues=True, spans=(80, 90))
    for queue in Queue:
        ends = [cycle for cycle, whose in out.ends if whose == queue]
        begins = [cycle for cycle, whose in out.begins if whose == queue]
        gaps = {begin - end for end, begin in zip(ends, begins[1:], strict=False)}
        # the unit is busy a cycle after it is offered the record
        assert gaps == {ListQueue.RECORD_CYCLES + 1}
