"""The host aborts lists at random moments; the array stops cleanly, and the next one is exact.

All lists follow one another without a reset. The AXI testbench fails a list that offers anything to
memory after the stop, or stops before its last burst has ended.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.cosim import Conditions, run
from gscn.emulator.passes import run_passes
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR
from gscn.registers import NO_PASS
from tests.pass_programs import random_program

pytestmark = pytest.mark.cosim

TINY = ARRAYS["tiny"]
CONFIGS = {"tiny": TINY, "two ports": dataclasses.replace(TINY, clusters=3, ports=2)}
NARROW = dataclasses.replace(TINY, acc_width=32)
"""Sums of integers overflow."""
BASES = 12
ROUNDS = 36
START_CYCLES = 40
"""About the time of a driver's accesses before a start."""
MEMORIES = {
    "plain": {},
    "slow": {"latency": 60},
    "pauses": {"latency": 4, "stall_probability": 0.4},
}
ABORTED = {"axi": True, "faulty": True, "timeout_cycles": 200_000}


@functools.cache
def lists_of(config):
    """Return lists, and the memory that each of them leaves."""
    bases = [
        random_program(number, number % 2, config=config, count=1 + number % 3)
        for number in range(BASES)
    ]
    exact = [
        run_passes(config, one.image, one.descriptors_addr, one.count, one.memory_bytes).memory
        for one in bases
    ]
    return bases, exact


def abort_all(config, memory, *, seed):
    """Abort lists, a whole one after every two; return each abort's pass, None if too late."""
    settings = {**ABORTED, **MEMORIES[memory]}
    bases, exact = lists_of(config)
    whole = run(config, bases, Conditions(**settings))
    rng = np.random.default_rng(seed)
    chosen = [number % BASES for number in range(ROUNDS) for _ in range(3)]
    # From before the start until after the end. After an abort the accumulators are cleared first,
    # so that of two aborts the second often comes before the array has taken the start.
    moments = [
        0 if index % 3 == 2 else int(rng.integers(1, START_CYCLES + whole[number].cycles))
        for index, number in enumerate(chosen)
    ]
    runs = run(
        config,
        [bases[number] for number in chosen],
        Conditions(reset=False, **settings),
        abort_cycles=moments,
    )
    stopped = []
    for number, moment, done in zip(chosen, moments, runs, strict=True):
        where = f"list {number}, aborted in cycle {moment}, seed {seed}"
        stopped.append(check_abort(bases[number], done, exact[number], where))
        assert moment or stopped[-1] is None, where
    return [one for one, moment in zip(stopped, moments, strict=True) if moment]


def check_abort(base, done, exact, where):
    """Require what the contract says of an aborted list; return its pass, None if it ended."""
    # every byte is written once, so that those there are right, and no other is touched
    written = done.written[: base.memory_bytes]
    assert np.array_equal(done.memory[written], exact[written]), where
    assert np.array_equal(done.memory[~written], base.image[~written]), where
    assert done.error_code in (PassError.NONE, PassError.ABORTED), where
    if done.error_code == PassError.NONE:
        assert np.array_equal(done.memory, exact), where
        assert done.error_pass == NO_PASS, where
        return None
    assert done.error_pass == NO_PASS or done.error_pass < base.count, where
    # nothing of the passes after it, nor without any
    begun = 0 if done.error_pass == NO_PASS else done.error_pass + 1
    allowed = np.zeros(base.memory_bytes, dtype=bool)
    first = base.descriptors_addr
    content = base.image[first : first + begun * DESCRIPTOR_BYTES]
    for descriptor in PASS_DESCRIPTOR.unpack(content):
        allowed[int(descriptor["out_addr"]) : int(descriptor["out_end"])] = True
    assert not (written & ~allowed).any(), where
    assert not any(done.flags.values()), where
    return done.error_pass


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("name", CONFIGS)
def test_an_aborted_list_stops_and_the_next_one_is_exact(name, memory):
    stopped = abort_all(CONFIGS[name], memory, seed=7)
    assert len(stopped) == 2 * ROUNDS
    assert stopped.count(None) < ROUNDS
    # in the middle of a list too, and before it was taken
    assert {0, 1, NO_PASS} <= set(stopped), stopped


@pytest.mark.slow
def test_an_overflow_that_interrupts_during_the_stop_is_not_its_end():
    """`ERROR` tells of an abort at once; the bursts under way end later, and so does the stop.

    Some of these aborts take effect in the few cycles in which the list's only overflow raises the
    interrupt.
    """
    base = random_program(39, 1, config=NARROW, count=1)  # short, and overflows
    expected = run_passes(NARROW, base.image, base.descriptors_addr, base.count, base.memory_bytes)
    assert expected.overflow_certain
    conditions = Conditions(latency=60, **ABORTED)
    (whole,) = run(NARROW, [base], conditions)
    assert whole.flags["accumulator_overflow"]
    moments = range(START_CYCLES, START_CYCLES + whole.cycles)
    runs = run(NARROW, [base] * len(moments), conditions, abort_cycles=list(moments))
    for moment, done in zip(moments, runs, strict=True):
        check_abort(base, done, expected.memory, f"aborted in cycle {moment}")
    assert sum(done.error_code == PassError.ABORTED for done in runs) > len(runs) // 2
