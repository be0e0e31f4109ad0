"""The host aborts launches at random moments; the core stops cleanly, and the next one is exact.

All launches follow one another without a reset. The AXI testbench fails a launch that offers
anything to memory after the stop, or stops before its last burst has ended.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.config import PRESETS
from gscn.cosim import Conditions, run
from gscn.cosim.builds.simulator import build
from gscn.error_codes import NO_JOB, NO_PHASE, ErrorCode
from tests.cosim.faults import expect, good_launches, launch_of
from tests.programs import random_program

pytestmark = pytest.mark.cosim

TINY = PRESETS["tiny"]
CONFIGS = {"tiny": TINY, "two ports": dataclasses.replace(TINY, clusters=3, ports=2)}
BASES = 12
ROUNDS = 36
START_CYCLES = 60
"""About the time of a driver's accesses before a start."""
MEMORIES = {
    "plain": {},
    "slow": {"latency": 60},
    "pauses": {"latency": 4, "stall_probability": 0.4},
}
TIMEOUT_CYCLES = 200_000


def abort_all(config, memory, *, one_start, seed):
    """Abort launches, a whole one after every two; return each abort's phase, None if too late."""
    simulator = build(config, axi=True)
    bases = good_launches(config, BASES)
    exact = [expect(base, one_start=one_start).result.memory for base in bases]
    conditions = Conditions(
        axi=True, one_start=one_start, timeout_cycles=TIMEOUT_CYCLES, seed=seed, **MEMORIES[memory]
    )
    whole = run(config, bases, conditions, simulator=simulator)
    rng = np.random.default_rng(seed)
    chosen = [number % BASES for number in range(ROUNDS) for _ in range(3)]
    # From before the start until after the end. After an abort the accumulators are cleared first,
    # so that of two aborts the second often comes before the core has taken the start.
    moments = [
        0 if index % 3 == 2 else int(rng.integers(1, START_CYCLES + whole[number].cycles))
        for index, number in enumerate(chosen)
    ]
    results = run(
        config,
        [bases[number] for number in chosen],
        dataclasses.replace(conditions, faulty=True),
        abort_cycles=moments,
        check=False,
        simulator=simulator,
    )
    stopped = []
    for number, moment, result in zip(chosen, moments, results, strict=True):
        base = bases[number]
        where = f"{base.what}, aborted in cycle {moment}, seed {seed}"
        assert result.error is None, f"{where}: {result.error}"
        phase = check_abort(base, result, exact[number], where, one_start=one_start)
        if moment:
            stopped.append(phase)
        else:
            assert phase is None, where
    return stopped


def check_abort(base, result, exact, where, *, one_start):
    """Require what the contract says of an aborted launch; return its phase, None if it ended."""
    # every byte is written once, so that those there are right, and no other is touched
    assert np.array_equal(result.memory[result.written], exact[result.written]), where
    untouched = ~result.written
    assert np.array_equal(result.memory[untouched], base.initial_memory()[untouched]), where
    assert result.error_code in (ErrorCode.NONE, ErrorCode.ABORTED), where
    assert result.error_job == NO_JOB, where
    if result.error_code == ErrorCode.NONE:
        assert np.array_equal(result.memory, exact), where
        assert result.error_phase == NO_PHASE, where
        return None
    phases = range(len(base.phases))
    assert result.error_phase == NO_PHASE or (one_start and result.error_phase in phases), where
    if one_start:
        # nothing of the phases after it, nor without any
        begun = 0 if result.error_phase == NO_PHASE else result.error_phase + 1
        allowed = np.zeros(base.memory_bytes, dtype=bool)
        for phase in base.phases[:begun]:
            allowed[phase.out_addr : phase.out_end] = True
        assert not (result.written & ~allowed).any(), where
    assert not any(result.flags.values()), where
    return result.error_phase


@pytest.mark.parametrize("one_start", [False, True], ids=["phase by phase", "list"])
@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("name", CONFIGS)
def test_an_aborted_launch_stops_and_the_next_one_is_exact(name, memory, one_start):
    stopped = abort_all(CONFIGS[name], memory, one_start=one_start, seed=7)
    assert len(stopped) == 2 * ROUNDS
    assert stopped.count(None) < ROUNDS
    if one_start:
        # in the middle of a list too, and before it was taken
        assert {0, 1, NO_PHASE} <= set(stopped), stopped


def test_an_overflow_that_interrupts_during_the_stop_is_not_its_end():
    """`ERROR` tells of an abort at once; the bursts under way end later, and so does the stop.

    Some of these aborts take effect in the few cycles in which the launch's only overflow raises
    the interrupt.
    """
    program = next(
        program
        for program in (random_program(TINY, seed, phases=1, jobs=1) for seed in range(100))
        if program.overflowed
    )
    base = launch_of(program, "overflowing launch")
    exact = expect(base).result
    assert exact.accumulator_overflow
    settings = {"simulator": build(TINY, axi=True), "check": False}
    conditions = Conditions(axi=True, faulty=True, timeout_cycles=TIMEOUT_CYCLES, latency=60)
    (whole,) = run(TINY, [base], conditions, **settings)
    assert whole.flags["accumulator_overflow"]
    moments = range(START_CYCLES, START_CYCLES + whole.cycles)
    results = run(TINY, [base] * len(moments), conditions, abort_cycles=list(moments), **settings)
    for moment, result in zip(moments, results, strict=True):
        where = f"aborted in cycle {moment}"
        assert result.error is None, f"{where}: {result.error}"
        check_abort(base, result, exact.memory, where, one_start=False)
    assert sum(result.error_code == ErrorCode.ABORTED for result in results) > len(results) // 2
