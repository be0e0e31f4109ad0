# amaranth: UnusedElaboratable=no
"""What is kept of results, against the emulator and plain Python: thresholds, ties, rounding."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from gscn.emulator.encode_arithmetic import SATURATED, narrowed
from gscn.hw.encode.judge import Judge
from gscn.passes import VECTOR
from tests.hw.encode import values
from tests.hw.streams import collect, drive, never, reused, simulate, with_pauses


def vector(source, wide):
    """Return a vector of results near their thresholds, zeros and specials among them."""
    lanes = []
    for _ in range(VECTOR):
        judged = values.code(source, bf16=not wide)
        magnitude = (judged & 0x7FFFFFFF) >> (0 if wide else 16)
        near = [max(magnitude + source.randint(-1, 1), 0), 0, 0xFFFFFFFF, source.getrandbits(32)]
        lanes.append(
            {
                "code": source.choice((judged, values.code(source), 0, 1 << 31)),
                "judged": judged,
                "threshold_a": source.choice(near),
                "threshold_b": source.choice(near),
            }
        )
    return {"lanes": lanes, "there": source.getrandbits(VECTOR) | source.getrandbits(VECTOR)}


class Clocked(wiring.Component):
    """A judge, which has no register, beside one, so that there is a clock."""

    def __init__(self):
        self.judge = Judge()
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.judge = self.judge
        m.d.sync += Signal(name="clocked").eq(1)
        return m


def judged(vectors, wide, strict, source_pauses=never, sink_pauses=never):
    """Return the verdicts of vectors."""
    dut, received = reused(Clocked), []

    async def hold(ctx):
        ctx.set(dut.judge.wide, wide)
        ctx.set(dut.judge.strict, strict)

    simulate(
        dut, hold, drive(dut.judge.i, vectors, source_pauses()),
        collect(dut.judge.o, received, len(vectors), sink_pauses()), cycles=2000,
    )  # fmt: skip
    return received


def bits(found):
    return sum(bool(one) << n for n, one in enumerate(found))


def expected(one, wide, strict):
    """Return the verdict of a vector."""
    there = [one["there"] >> n & 1 for n in range(VECTOR)]
    codes = [lane["code"] for lane in one["lanes"]]
    nonzero = [there[n] and code & 0x7FFFFFFF != 0 for n, code in enumerate(codes)]
    judged = [(lane["judged"] & 0x7FFFFFFF) >> (0 if wide else 16) for lane in one["lanes"]]
    short, flags = zip(*(narrowed(code) for code in codes), strict=True)
    found = {"codes": [int(s) for s in short], "nonzero": bits(nonzero)}
    for part in "ab":
        kept = [
            nonzero[n]
            and (judged[n] > lane[f"threshold_{part}"] or
                 (not strict and judged[n] == lane[f"threshold_{part}"]))
            for n, lane in enumerate(one["lanes"])
        ]  # fmt: skip
        found[f"kept_{part}"] = bits(kept)
        found[f"packed_{part}"] = bits(k and s & 0x7FFF for k, s in zip(kept, short, strict=True))
    fields = [max(code >> 23 & 0xFF, 1) for n, code in enumerate(codes) if nonzero[n]]
    found["largest"] = max((field for field in fields if field < 255), default=0)
    found["saturated"] = int(any(flag & SATURATED for flag in flags))
    return found


@with_pauses
@pytest.mark.parametrize("strict", [False, True], ids=["at least", "above"])
@pytest.mark.parametrize("wide", [False, True], ids=["bf16", "float32"])
def test_verdicts_are_those_of_the_law(wide, strict, source_pauses, sink_pauses):
    source = random.Random(f"{wide}{strict}")
    vectors = [vector(source, wide) for _ in range(60)]
    received = judged(vectors, wide, strict, source_pauses, sink_pauses)
    wanted = [expected(one, wide, strict) for one in vectors]
    assert received == wanted
    assert {one["saturated"] for one in wanted} == {0, 1}


def test_a_float32_number_too_small_for_strips_is_kept_but_not_packed():
    lane = {"code": 1, "judged": 1, "threshold_a": 0, "threshold_b": 2}
    one = {"lanes": [lane] * VECTOR, "there": 1}
    (found,) = judged([one], True, False)
    assert (found["kept_a"], found["packed_a"], found["kept_b"]) == (1, 0, 0)
    assert found["largest"] == 1
