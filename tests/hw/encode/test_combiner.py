# amaranth: UnusedElaboratable=no
"""Vectors of values combined, against the emulator: every term, format, ReLU and mask."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gscn.emulator.encode_arithmetic import NONFINITE, SATURATED, Numbers, Rows, combine
from gscn.encode import TENSORS, Masked
from gscn.errors import InputError
from gscn.hw.encode.combiner import DIGITS, Combiner
from tests.hw.encode import values
from tests.hw.streams import collect, drive, reused, simulate, with_pauses

LANES = 3


def vectors(count, source, *, bf16, third, relu=False):
    """Return (vector of the hardware, tensors and coefficients of each lane) at random."""
    found = []
    for _ in range(count):
        lanes, items = [], []
        narrow = source.random() < bf16
        multiplies = source.random() < third
        for _ in range(LANES):
            codes = [values.code(source, bf16=narrow) for _ in range(TENSORS)]
            scales = [values.code(source) for _ in range(TENSORS)]
            if source.random() < 0.3:
                values.opposite(codes, scales, source)
            if not multiplies:
                scales[2] = values.power(source)
            bias = values.code(source) if source.random() < 0.7 else 0
            adds = source.choice((15, 15, source.getrandbits(4)))
            counted = [one if adds >> n & 1 else 0 for n, one in enumerate((*codes, bias))]
            lanes.append((counted[:TENSORS], scales, counted[TENSORS]))
            items.append(
                {
                    # A plain term without a coefficient has no value.
                    "terms": [values.term(c, s) for c, s in zip(codes, scales, strict=True)],
                    "bias": bias,
                    "adds": adds,
                }
            )
        there, kept = source.getrandbits(LANES), source.getrandbits(LANES) | source.getrandbits(3)
        found.append(
            (
                {
                    "values": items, "there": there, "kept": kept, "knee": 0, "relu": relu,
                    "wide": not narrow, "third": multiplies, "second": source.getrandbits(1),
                },
                lanes,
            )
        )  # fmt: skip
    return found


def expected(vector, lanes, *, wide, relu):
    """Return the result that the emulator has."""
    codes = np.array([[one[0] for one in lanes]], dtype=np.int64).transpose(2, 0, 1)
    rows = Rows(
        np.array([one[1] for one in lanes], dtype=np.int64).T.copy(),
        np.array([one[2] for one in lanes], dtype=np.int64),
        np.zeros(LANES, dtype=np.int64),
    )
    bits = [
        np.array([[vector[name] >> n & 1 for n in range(LANES)]]) == 1 for name in ("there", "kept")
    ]
    numbers = Numbers(True, 32 if wide else 16, 0, 48, int(relu), Masked.RESULT, False, False)
    first, _, flags = combine(
        np.ascontiguousarray(codes), bits[0], bits[1] & bits[0], rows, numbers
    )
    return {
        "codes": [int(one) for one in first[0]],
        "saturated": int(flags & SATURATED != 0),
        "nonfinite": int(flags & NONFINITE != 0),
        "second": vector["second"],
    }


def run(items, *, wide, source_pauses, sink_pauses, cycles=None):
    dut = reused(Combiner, count=LANES)
    received = []

    async def settings(ctx):
        ctx.set(dut.wide, wide)

    simulate(
        dut,
        settings,
        drive(dut.i, [vector for vector, _ in items], source_pauses()),
        collect(dut.o, received, len(items), sink_pauses(), cycles=cycles),
        cycles=1000 + 60 * len(items),
    )
    return received


@with_pauses
@pytest.mark.parametrize("relu", [False, True], ids=["as it is", "ReLU"])
@pytest.mark.parametrize("wide", [False, True], ids=["bf16", "float32"])
def test_results_are_those_of_the_emulator(wide, relu, source_pauses, sink_pauses):
    items = vectors(150, random.Random(f"{wide}{relu}"), bf16=0.5, third=0.3, relu=relu)
    received = run(items, wide=wide, source_pauses=source_pauses, sink_pauses=sink_pauses)
    assert received == [expected(*item, wide=wide, relu=relu) for item in items]
    assert {one["saturated"] for one in received} == {0, 1}
    assert {one["nonfinite"] for one in received} == {0, 1}


@pytest.mark.parametrize(
    ("bf16", "third", "turns"), [(1, 0, 1), (1, 1, 2), (0, 0, DIGITS), (0, 1, 2 * DIGITS)]
)
def test_a_vector_takes_a_turn_for_each_digit_and_more_products(bf16, third, turns):
    items = vectors(40, random.Random(1), bf16=bf16, third=third)
    cycles = []
    run(
        items, wide=False, source_pauses=lambda: iter(lambda: False, 1),
        sink_pauses=lambda: iter(lambda: False, 1), cycles=cycles,
    )  # fmt: skip
    assert cycles[-1] - cycles[0] == turns * (len(items) - 1)
    assert cycles[0] == Combiner.LATENCY + turns - 1


def test_a_tensor_alone_comes_out_as_it_is():
    for bits in (0x3F800001, 0x00000001, 0x807FFFFF, 0x7F7FFFFF, 0xFF800000):
        value = {
            "terms": [values.term(bits, values.ONE), values.term(0, 0), values.term(0, 0)],
            "bias": 0,
            "adds": 15,
        }
        vector = {
            "values": [value] * LANES, "there": 7, "kept": 7, "knee": 0, "relu": 0, "wide": 1,
            "third": 0, "second": 0,
        }  # fmt: skip
        (found,) = run(
            [(vector, None)], wide=True, source_pauses=lambda: iter(lambda: False, 1),
            sink_pauses=lambda: iter(lambda: False, 1),
        )  # fmt: skip
        assert found["codes"] == [bits] * LANES


def test_lanes_must_be_some():
    with pytest.raises(InputError, match="count must be a whole number of at least 1, not 0"):
        Combiner(count=0)
