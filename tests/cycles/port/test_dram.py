"""DRAM behind the ports: a buffer written down plainly, and what it must do to any pass."""

from __future__ import annotations

import functools
import math
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.dram import join
from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cycles.passes import simulate_passes
from gscn.cycles.port.channels import BURST
from gscn.cycles.port.dram import (
    TICKS,
    WRITE_SLACK_CYCLES,
    begin_ahead,
    has_write_room,
    new_lines,
    new_memory,
    read_lines,
    use_line,
    work_ahead,
    write_beats,
)
from gscn.dram import LINE_BYTES, Dram
from gscn.lowering.pass_image import lower_pass
from gscn.outputs import OutputFormat
from gscn.perf.estimate.buffer import owners_of, replay

TINY = ARRAYS["tiny"]
SHAPE = ConvShape(n=3, c=20, h=12, w=12, k=24, r=3, s=3, padding=(1, 1))


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 6))
def test_the_line_used_longest_ago_is_replaced(used, capacity):
    lines, held, plain = new_lines(10), 0, OrderedDict()
    for line in used:
        hit, held = use_line(lines, line, capacity, held)
        assert hit == (line in plain)
        if not hit and len(plain) == capacity:
            plain.popitem(last=False)
        plain[line] = None
        plain.move_to_end(line)
        assert held == len(plain)


def burst(beat, beats, due):
    one = np.zeros(1, BURST)[0]
    one["beat"], one["beats"], one["due"] = beat, beats, due
    return np.array([one], BURST)


def test_bursts_come_when_dram_has_delivered_their_lines_by_hand():
    # 16 cycles a line; beats of 64 bytes; a command of cycle 10 reaches memory in cycle 11
    memory = new_memory(Dram(bytes_per_cycle=4.0, buffer_bytes=2 * LINE_BYTES), 1 << 12)
    first, again, other = burst(4, 2, 111), burst(5, 1, 112), burst(-1, 1, 113)
    for one, now in ((first, 10), (again, 11), (other, 12)):
        read_lines(memory, one[0], 6, 100, now)
    assert first["due"][0] == 11 + 2 * 16 + 100
    assert again["due"][0] == 112  # the buffer holds its line
    assert other["due"][0] == 11 + 3 * 16 + 100  # the list of passes is not kept


def test_results_are_not_taken_while_dram_is_far_behind():
    memory = new_memory(Dram(bytes_per_cycle=4.0), 1 << 12)
    beats = WRITE_SLACK_CYCLES // 16
    write_beats(memory, beats, 6, 100)
    assert has_write_room(memory, 100)
    write_beats(memory, 1, 6, 100)
    assert not has_write_room(memory, 100)
    assert has_write_room(memory, 116)


AHEAD = Dram(bytes_per_cycle=4.0, buffer_bytes=6 * LINE_BYTES, ahead_bytes=4 * LINE_BYTES)


def test_results_are_written_while_nobody_reads():
    memory = new_memory(AHEAD, 1 << 12)
    state = memory.dram[0]
    write_beats(memory, 3, 6, 100)
    assert state["late"] == 3 * 16 * TICKS
    work_ahead(memory, 120)  # one and a quarter of them
    assert state["late"] == 28 * TICKS
    one = burst(0, 1, 0)
    read_lines(memory, one[0], 6, 100, 120)  # before the others
    assert one["due"][0] == 121 + 16 + 100
    work_ahead(memory, 137)
    assert state["late"] == 28 * TICKS
    work_ahead(memory, 200)
    assert state["late"] == 0


def test_results_without_room_are_written_at_once():
    memory = new_memory(AHEAD, 1 << 12)
    write_beats(memory, 4, 6, 0)
    assert memory.dram["free"][0] == 0
    write_beats(memory, 2, 6, 0)
    assert memory.dram["free"][0] == 2 * 16 * TICKS
    assert memory.dram["late"][0] == 4 * 16 * TICKS


def test_lines_of_the_pass_behind_are_read_while_there_is_nothing_else_to_do():
    orders = [np.array(lines, np.int32) for lines in ([0, 1], [1, 8, 9, 10, 11, 12], [20])]
    memory = new_memory(AHEAD, 1 << 12, orders)
    early = memory.early
    begin_ahead(memory, 0)
    one = burst(1, 1, 0)
    read_lines(memory, one[0], 6, 100, 0)  # until 17; line 1 is kept
    work_ahead(memory, 40)
    assert early.nonzero()[0].tolist() == [8, 9]  # the second is under way until 49
    write_beats(memory, 1, 6, 41)  # results come first
    work_ahead(memory, 1000)
    assert memory.dram["late"][0] == 0
    assert early.nonzero()[0].tolist() == [8, 9, 10, 11]  # no room for more
    begin_ahead(memory, 1)
    two = burst(9, 1, 7)
    read_lines(memory, two[0], 6, 100, 1000)
    assert two["due"][0] == 7
    assert memory.dram["ahead"][0] == 3
    work_ahead(memory, 2000)
    assert early[20]
    begin_ahead(memory, 2)  # forgets what pass 1 did not ask for
    assert early.nonzero()[0].tolist() == [20]
    assert memory.dram["ahead"][0] == 1


def test_no_time_is_made_up_for_in_which_there_was_nothing_to_do():
    memory = new_memory(AHEAD, 1 << 12)
    work_ahead(memory, 1000)
    write_beats(memory, 2, 6, 1000)
    work_ahead(memory, 1001)
    assert memory.dram["late"][0] == 31 * TICKS


@functools.cache
def lowered(which):
    rng = np.random.default_rng(5)
    operands = [(rng.random(size) < 0.4).astype(np.int64) for size in SHAPE.operand_shapes(which)]
    return lower_pass(TINY, SHAPE, which, *operands, OutputFormat(width=16))


def simulated(image, **memory):
    return simulate_passes(
        TINY, image.image, image.descriptors_addr, image.descriptor_count, image.memory_bytes,
        bursts=True, **memory,
    )  # fmt: skip


@pytest.mark.parametrize("which", Pass)
def test_dram_that_is_no_limit_changes_no_cycle(which):
    image = lowered(which)
    alone = simulated(image)
    behind = simulated(image, dram=Dram(bytes_per_cycle=1e9, buffer_bytes=1 << 14))
    assert alone.cycles == behind.cycles
    assert (alone.counters == behind.counters).all()


@pytest.mark.parametrize("capacity", [0, 1 << 12, 1 << 20])
@pytest.mark.parametrize("which", Pass)
def test_a_pass_takes_as_long_as_dram_moves_its_bytes(which, capacity):
    image, rate = lowered(which), 0.5
    result = simulated(image, dram=Dram(bytes_per_cycle=rate, buffer_bytes=capacity))
    read = replay(TINY, result.bursts, owners_of(image, result.bursts), capacity)
    moved = read.total + result.write_beats * TINY.mem_bytes
    # what is written last is under way when the pass ends
    least = moved / rate - WRITE_SLACK_CYCLES - 1000
    assert least <= result.cycles <= 1.1 * moved / rate + simulated(image).cycles
    if capacity == 1 << 20:
        assert read.total < image.operand_bytes + LINE_BYTES * 64


def dense(shape, density):
    rng = np.random.default_rng(1)
    sizes = shape.operand_shapes(Pass.FORWARD)
    operands = [
        (rng.random(size) < share).astype(np.int64)
        for size, share in zip(sizes, (density, 1.0), strict=True)
    ]
    return lower_pass(TINY, shape, Pass.FORWARD, *operands, OutputFormat(width=16))


def test_dram_reads_and_writes_for_one_pass_under_another():
    thin = dense(ConvShape(n=1, c=64, h=16, w=16, k=8, r=1, s=1), 0.05)
    thick = dense(ConvShape(n=1, c=8, h=12, w=12, k=16, r=3, s=3, padding=(1, 1)), 1.0)
    lists, rate, size = join([thin, thick] * 3), 1.0, 16 << 10
    alone, ahead = (
        simulate_passes(TINY, *lists, dram=Dram(bytes_per_cycle=rate, **buffer))
        for buffer in ({"buffer_bytes": size}, {"buffer_bytes": 2 * size, "ahead_bytes": size})
    )
    saved = np.subtract(alone.pass_cycles, ahead.pass_cycles)
    # what the first one writes last is left for the second, and the third finds lines there, too
    assert saved[0] > 8 * 16 * 16 * 2 / rate
    assert 0.75 * size / rate < saved[2] - saved[0] < size / rate
    assert (saved > 0).all()
    assert alone.behind_cycles == 0
    # DRAM is no faster than it was
    once = 3 * (thin.operand_bytes + thick.operand_bytes) + ahead.write_beats * TINY.mem_bytes
    assert ahead.cycles + ahead.behind_cycles >= once / rate


@pytest.mark.parametrize("dram", [None, Dram(bytes_per_cycle=math.inf)])
def test_lines_of_a_dram_that_is_no_limit_take_no_time(dram):
    assert not new_memory(dram, 64).dram["line_ticks"][0]
