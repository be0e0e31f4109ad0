"""Whatever one field of a launch says, the core behind AXI ends, says what is wrong, and goes on.

Each launch with a fault is followed by a good one, in the same process and without a reset.
"""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import pytest

from gscn.config import PRESETS
from gscn.cosim import Conditions, run
from gscn.error_codes import NO_PHASE, ErrorCode
from tests.cosim.faults import expect, good_launches, with_fault, with_moved_end, with_turns

pytestmark = pytest.mark.cosim

TINY = PRESETS["tiny"]
CASES = 60
LIST_CASES = 80
"""Launches with a fault in the default tier."""
END_CASES = 40
"""Launches with an end of a range moved, in the default tier."""
MANY_CASES = 2600
"""In the slow tier, over all configurations together."""
WIDE = dataclasses.replace(TINY, mem_width=512, burst_beats=4)
CONFIGS = {
    "tiny": TINY,
    "two ports": dataclasses.replace(TINY, clusters=3, ports=2),
    "one PE": dataclasses.replace(TINY, pes_per_cluster=1, mem_width=64, operand_format="int8"),
    "512 bits x 4": WIDE,
    "512 bits x 16": dataclasses.replace(WIDE, burst_beats=16, read_fifo_beats=32),
    "512 bits x 4, three clusters": dataclasses.replace(WIDE, clusters=3, pes_per_cluster=8),
    "256 bits x 8": dataclasses.replace(
        TINY, pes_per_cluster=4, mem_width=256, burst_beats=8, read_fifo_beats=16
    ),
    "64 bits x 16": dataclasses.replace(
        TINY, pes_per_cluster=1, mem_width=64, burst_beats=16, read_fifo_beats=32, addr_width=40
    ),
}
BASES = 12
TIMEOUT_CYCLES = 200_000


STARTS = (
    ErrorCode.START_ADDRESS,
    ErrorCode.START_JOBS,
    ErrorCode.START_RANGE,
    ErrorCode.START_PHASES,
)


def check_exact(launch, result, expected, flags_before):
    """Require what the functional model says; return the flags, which stay set."""
    assert result.error_code == 0, launch.what
    wrong = np.flatnonzero(result.memory != expected.result.memory)
    assert not wrong.size, f"{launch.what}: byte {wrong[0]:#x} differs"
    flags = {
        "saturated": expected.result.saturated,
        "accumulator_overflow": expected.result.accumulator_overflow,
        "address_error": False,
        "nonfinite": expected.result.nonfinite,
    }
    flags = {name: flag or flags_before[name] for name, flag in flags.items()}
    assert result.flags == flags, launch.what
    return flags


def check_fault(launch, result, expected, flags_before, *, one_start):
    """Require what the contract says of a launch with a fault; return what became of it."""
    assert result.error is None, f"{launch.what}: {result.error}"
    allowed = np.zeros(launch.memory_bytes, dtype=bool)
    for first, end in expected.ranges:
        allowed[first:end] = True
    assert not (result.written & ~allowed).any(), launch.what
    if expected.findings is None and expected.result is None:
        return "order matters"
    if expected.result is not None:
        check_exact(launch, result, expected, flags_before)
        return "no error"
    if expected.findings.disputed:
        return "order matters"
    found = (result.error_code, result.error_job, result.error_phase)
    possible = [
        (error.code, error.job, error.phase if one_start else NO_PHASE)
        for error in expected.findings.errors
    ]
    assert found in possible, f"{launch.what}: {found} is none of {possible}"
    if result.error_code not in STARTS or result.error_phase != NO_PHASE:
        assert not any(result.flags.values()), launch.what
    return ErrorCode(result.error_code).name


def one_wrong_field(launch, rng, *, one_start):
    """Return a launch with one field of another value."""
    return with_fault(launch, rng, one_start=one_start)


def one_end_moved(launch, rng, *, one_start):
    """Return a launch with an end of an output range moved, in its register and in the list."""
    return with_moved_end(launch, rng)


def run_faults(config, count, seed, *, one_start=False, change=one_wrong_field):
    """Run `count` launches with a fault, a good one after each; return how many became what."""
    bases = good_launches(config, BASES)
    good = [expect(base, one_start=one_start) for base in bases]
    assert all(expected.result is not None for expected in good)
    rng = np.random.default_rng(seed)
    faulty = [change(bases[number % BASES], rng, one_start=one_start) for number in range(count)]
    programs = [
        launch for number, fault in enumerate(faulty) for launch in (fault, bases[number % BASES])
    ]
    results = run(
        config,
        programs,
        Conditions(
            axi=True, faulty=True, one_start=one_start, timeout_cycles=TIMEOUT_CYCLES, seed=1
        ),
        check=False,
    )
    became = collections.Counter()
    flags = dict.fromkeys(results[0].flags, False)
    for number, fault in enumerate(faulty):
        result, after = results[2 * number], results[2 * number + 1]
        expected = expect(fault, one_start=one_start)
        became[check_fault(fault, result, expected, flags, one_start=one_start)] += 1
        assert after.error is None, f"after {fault.what}: {after.error}"
        flags = check_exact(bases[number % BASES], after, good[number % BASES], result.flags)
    return became


def test_any_one_wrong_field_is_harmless_or_reported():
    became = run_faults(TINY, CASES, 1)
    assert became["no error"] < CASES
    assert became["order matters"] < CASES // 4
    # errors of several stages
    assert len(became) > 6, became


def test_any_one_wrong_field_of_a_list_is_harmless_or_reported():
    became = run_faults(TINY, LIST_CASES, 3, one_start=True)
    # every way in which the start or a phase of a list can be wrong
    assert {"BUS_READ", *(code.name for code in STARTS)} <= set(became), became
    assert became["order matters"] < LIST_CASES // 4
    assert len(became) > 6, became


@pytest.mark.parametrize("one_start", [False, True], ids=["phase by phase", "list"])
def test_the_flag_of_turns_flipped_is_no_error(one_start):
    bases = good_launches(TINY, BASES)
    flipped = [with_turns(base) for base in bases]
    results = run(
        TINY, flipped, Conditions(axi=True, faulty=True, one_start=one_start, seed=1), check=False
    )
    flags = dict.fromkeys(results[0].flags, False)
    for base, launch, result in zip(bases, flipped, results, strict=True):
        assert result.error is None, launch.what
        expected = expect(launch, one_start=one_start)
        assert expected.findings is None, launch.what
        flags = check_exact(launch, result, expected, flags)
        good = expect(base, one_start=one_start).result.memory.copy()
        for number in range(len(base.phases)):
            word = base.phases_addr + 64 * number + 24
            good[word + 3] ^= 0x80
        assert np.array_equal(result.memory, good), launch.what


def test_no_end_of_a_range_is_written_across():
    became = run_faults(TINY, END_CASES, 4, change=one_end_moved)
    assert {"OUTPUT_RANGE", "START_RANGE", "no error"} <= set(became), became


@pytest.mark.slow
@pytest.mark.parametrize("one_start", [False, True], ids=["phase by phase", "list"])
@pytest.mark.parametrize("name", CONFIGS)
def test_no_end_of_a_range_is_written_across_whatever_the_bursts(name, one_start):
    became = run_faults(CONFIGS[name], 4 * END_CASES, 5, one_start=one_start, change=one_end_moved)
    assert {"OUTPUT_RANGE", "START_RANGE", "no error"} <= set(became), became
    assert became["order matters"] < END_CASES, became


@pytest.mark.slow
@pytest.mark.parametrize("one_start", [False, True], ids=["phase by phase", "list"])
@pytest.mark.parametrize("name", CONFIGS)
def test_many_wrong_fields_are_harmless_or_reported(name, one_start):
    count = MANY_CASES // len(CONFIGS) + 1
    became = run_faults(CONFIGS[name], count, 2, one_start=one_start)
    assert became["order matters"] < count // 4
    assert len(became) > 15, became
