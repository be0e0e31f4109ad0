# amaranth: UnusedElaboratable=no
"""Whole passes of lanes of integers against the emulator: every output, and turns."""

from __future__ import annotations

import random

import pytest

from gscn.array import ARRAYS
from gscn.encode import Adapt, Masked, Reduce, Thresholds
from gscn.hw.encode.integer_lanes import IntegerLanes
from tests.hw.encode.integer_passes import IntegerCase
from tests.hw.encode.test_lanes import DENSE, NOTHING, PATTERNS, SUMS, check, check_all, run
from tests.hw.streams import never, reused

INT8, INT16, INT32 = 3, 4, 5
BASE = {**NOTHING, "absolute": 0, "shift": 5, "strict": 0, "t0_format": INT8, "t1_format": 0,
        "out_format": INT8}  # fmt: skip
CHOSEN = (
    {**BASE, **DENSE, "bits_end": 64, "a_end": 64, "activation": 1, "masked": Masked.RESULT,
     "thresholds": Thresholds.STATE, "adapt": Adapt.SELECT_FIRST, "segment": 3},
    {**BASE, **DENSE, "t1_format": INT32, "t2_format": INT16, "out_format": INT16, "absolute": 2,
     "masked": Masked.TENSOR, "a_end": 64, "b_end": 64, "thresholds": Thresholds.ROWS,
     "judged": 2, "shift": 20, "strict": 1},
    {**BASE, **DENSE, **SUMS, "t1_format": INT32, "dot": 2, "magnitudes": 1, "kept_sums": 1,
     "vectors": 1, "segment": 3, "out_format": INT32, "thresholds": Thresholds.ROWS,
     "adapt": Adapt.SELECT_NEXT, "shift": 0},
    {**BASE, **DENSE, "reduce": Reduce.MAXIMUM, "bits_end": 64, "segment": 3, "vectors": 1,
     "b_end": 64},
    {**BASE, **DENSE, **SUMS, "reduce": Reduce.SUM, "segment": 4, "product": 1, "dot": 1,
     "t1_format": INT16, "t2_format": INT32, "out_format": INT16},
)  # fmt: skip


def test_every_output_of_passes_of_each_kind_is_the_emulators():
    config = ARRAYS["tiny"].with_overrides(["acc_width=32"])
    source = random.Random(32)
    check_all(
        [
            (IntegerCase(source, config, most=12, **fields), PATTERNS[number % len(PATTERNS)])
            for number, fields in enumerate(CHOSEN)
        ],
        reused(IntegerLanes, config=config),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_every_output_of_random_passes_is_the_emulators(seed):
    source, config = random.Random(seed), ARRAYS["tiny"]
    cases = [(IntegerCase(source, config), PATTERNS[n % len(PATTERNS)]) for n in range(12)]
    check_all(cases, reused(IntegerLanes, config=config))


TURNS = (
    (1, {**BASE, **DENSE, "a_end": 64, "bits_end": 64}),
    (2, {**BASE, **DENSE, "t1_format": INT16}),
    (3, {**BASE, **DENSE, **SUMS, "dot": 1}),
)


def test_a_vector_takes_a_turn_for_each_tensor_and_two_for_sums_of_products():
    source, config = random.Random(2), ARRAYS["tiny"]
    cases = [
        (IntegerCase(source, config, **fields, positions=16, groups=1), never)
        for _, fields in TURNS
    ]
    made = run(cases, reused(IntegerLanes, config=config))
    for (turns, _), (case, _), one in zip(TURNS, cases, made, strict=True):
        check(case, one)
        assert one.taken[14] - one.taken[8] == 6 * turns
        if turns == 1:
            assert one.first == one.taken[0] + IntegerLanes.LATENCY
