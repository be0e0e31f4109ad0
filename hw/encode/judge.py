"""What is kept of results: thresholds of two kinds of strips, bits, and counts."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.formats import BF16, FLOAT32
from gscn.hw.encode.layouts import CODE, EXPONENT, MANTISSA, reaches
from gscn.passes import VECTOR

_CUT = CODE - BF16.width
"""Bits of a float32 code that bf16 lacks."""
JUDGED_LANE = data.StructLayout(
    {"code": CODE, "judged": CODE, "threshold_a": 32, "threshold_b": 32}
)
"""A result, the number whose magnitude is compared, and what it is compared with."""
JUDGED_VECTOR = data.StructLayout({"lanes": data.ArrayLayout(JUDGED_LANE, VECTOR), "there": VECTOR})
"""Lanes of a vector, and which of them there are; codes of others are 0."""
VERDICT = data.StructLayout(
    {
        "codes": data.ArrayLayout(BF16.width, VECTOR),
        "nonzero": VECTOR,
        "kept_a": VECTOR,
        "kept_b": VECTOR,
        "packed_a": VECTOR,
        "packed_b": VECTOR,
        "largest": EXPONENT,
        "saturated": 1,
    }
)
"""Codes as strips have them; which results are not 0, which are kept, and which of these are not 0
in strips; the largest exponent field of finite numbers, 0 without any; whether a code of strips was
beyond the largest number."""


class Judge(wiring.Component):
    """Compare magnitudes with thresholds, and round results to bf16 for strips.

    Magnitudes are codes without their sign, as wide as their format, compared as integers. Zeros
    are not kept.

    Implements: "What is kept", floating point, of `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.narrowed`, `golden.oracle.encode.is_kept`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`.
    - Throughput: one vector per cycle.
    - Combinational: `i`, `wide`, `strict` -> `o`; `o.ready` -> `i.ready`.
    - Reset: no register; outputs 0.

    Attributes
    ----------
    i : In(stream.Signature(JUDGED_VECTOR))
        Results.
    wide : In(1)
        What is judged is float32, not bf16. Held while there are vectors.
    strict : In(1)
        A magnitude must be above its threshold; otherwise it may equal it. Held likewise.
    o : Out(stream.Signature(VERDICT))
        What is kept.
    """

    LATENCY = 0

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(JUDGED_VECTOR)),
                "wide": In(1),
                "strict": In(1),
                "o": Out(stream.Signature(VERDICT)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        found = self.o.p
        exponents, beyond = [], []
        for number, lane in enumerate(self.i.p.lanes):
            nonzero = lane.code[:-1].any() & self.i.p.there[number]
            magnitude = Mux(self.wide, lane.judged[:-1], lane.judged[_CUT:-1])
            kept = [
                nonzero & self._reaches(m, f"{name}{number}", magnitude, threshold)
                for name, threshold in (("a", lane.threshold_a), ("b", lane.threshold_b))
            ]
            short, over = self._narrowed(m, number, lane.code)
            beyond.append(over)
            m.d.comb += [
                found.codes[number].eq(short),
                found.nonzero[number].eq(nonzero),
                found.kept_a[number].eq(kept[0]),
                found.kept_b[number].eq(kept[1]),
                found.packed_a[number].eq(kept[0] & short[:-1].any()),
                found.packed_b[number].eq(kept[1] & short[:-1].any()),
            ]
            field = lane.code[MANTISSA:-1]
            counted = nonzero & ~field.all()
            exponent = Signal(EXPONENT, name=f"exponent{number}")
            m.d.comb += exponent.eq(Mux(counted, Cat(field[0] | ~field.any(), field[1:]), 0))
            exponents.append(exponent)
        m.d.comb += [
            found.largest.eq(largest_of(m, exponents)),
            found.saturated.eq(Cat(beyond).any()),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready),
        ]
        return m

    def _reaches(self, m, name: str, magnitude: Value, threshold: Value) -> Value:
        """Return whether a magnitude is at least its threshold; above it, if `strict`."""
        width = len(magnitude)
        found = Signal(name=f"reaches_{name}")
        m.d.comb += found.eq(
            reaches(magnitude, threshold[:width], ~self.strict[0]) & ~threshold[width:].any()
        )
        return found

    def _narrowed(self, m, number: int, code: Value):
        """Return a code rounded to bf16, and whether it was finite and is so no more."""
        short = Signal(BF16.width, name=f"short{number}")
        full = code[MANTISSA:-1].all()
        nan = full & code[:MANTISSA].any()
        up = code[_CUT - 1] & (code[: _CUT - 1].any() | code[_CUT])
        rounded = Signal(BF16.width - 1, name=f"rounded{number}")
        m.d.comb += [
            rounded.eq(code[_CUT:-1] + up),
            short.eq(Mux(nan, FLOAT32.nan >> _CUT, Cat(rounded, code[-1]))),
        ]
        return short, ~full & rounded[BF16.mantissa_width :].all()


def largest_of(m: Module, numbers: list[Value]) -> Value:
    """Return the largest number: bit by bit from the highest, dropping those that lack it."""
    alive = [Value.cast(1) for _ in numbers]
    bits = []
    for bit in reversed(range(len(numbers[0]))):
        have = [one & number[bit] for one, number in zip(alive, numbers, strict=True)]
        some = Signal(name=f"largest_bit{bit}")
        m.d.comb += some.eq(Cat(have).any())
        following = []
        for lane, (one, number) in enumerate(zip(alive, numbers, strict=True)):
            stays = Signal(name=f"stays{bit}_{lane}")
            m.d.comb += stays.eq(one & (number[bit] | ~some))
            following.append(stays)
        alive = following
        bits.append(some)
    return Cat(reversed(bits))
