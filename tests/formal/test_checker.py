# amaranth: UnusedElaboratable=no
"""What checkers have in common: claims stated once, words that are held, values of before."""

from __future__ import annotations

from typing import ClassVar

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from formal import sby
from formal.checker import Checker, joined
from formal.stand_ins import Free, Piped
from gscn.errors import InputError


class Pass(wiring.Component):
    """Offers what it is given, and drops it if it is not taken."""

    SIZE = 2

    def __init__(self):
        super().__init__({"i": In(stream.Signature(2)), "o": Out(stream.Signature(2))})

    def elaborate(self, platform):
        m = Module()
        wiring.connect(m, wiring.flipped(self.i), wiring.flipped(self.o))
        return m


class PassChecker(Checker):
    """Claims that words are held, which is true if those given are."""

    CLAIMS: ClassVar = {"held": "`o` is held"}
    dut: Pass
    assumes = True

    def describe(self):
        if self.assumes:
            self.assume(self.held(self.dut.i, name="i"))
        self.claim("held", self.held(self.dut.o, name="o"))
        self.reach(self.dut.o.valid & self.dut.o.ready)


class Doubtful(PassChecker):
    """Assumes nothing."""

    assumes = False


class Forgetful(PassChecker):
    """States nothing."""

    def describe(self):
        """State nothing."""


class Passes(Pass):
    """Has a `Pass` inside, which says its size."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = Pass()
        assert Pass.SIZE == 2
        wiring.connect(m, wiring.flipped(self.i), inner.i)
        wiring.connect(m, inner.o, wiring.flipped(self.o))
        return m


class PassesChecker(PassChecker):
    """Claims that words are held, and how the part is connected."""

    CLAIMS: ClassVar = {"held": "`o` is held", "joined": "the part has the ports"}

    def describe(self):
        super().describe()
        inner = self.parts[Pass][0] if self.STAND_INS else self.dut
        self.claim("joined", joined(self.dut.i, inner.i) & joined(inner.o, self.dut.o))


class WithoutPart(PassesChecker):
    """Has a part that does anything in the place of the `Pass`."""

    STAND_INS: ClassVar = {Pass: Free}


@pytest.mark.parametrize(
    ("checker", "claim", "status"),
    [
        (PassesChecker, "held", "PASS"),
        (WithoutPart, "held", "FAIL"),
        (WithoutPart, "joined", "PASS"),
    ],
)
def test_a_part_that_stands_in_does_anything_at_the_ports_of_the_part(
    checker, claim, status, tmp_path
):
    built = checker(Passes(), claims=[claim])
    assert sby.run(built, mode="bmc", depth=4, directory=tmp_path / "run").status == status


class Late(wiring.Component):
    """Shows what it was given two cycles of `en` before."""

    LATENCY = 2

    def __init__(self):
        super().__init__({"i": In(2), "en": In(1), "o": Out(2), "odd": Out(1)})

    def elaborate(self, platform):
        m = Module()
        first, second = Signal(2), Signal(2)
        with m.If(self.en):
            m.d.sync += [first.eq(self.i), second.eq(first)]
        m.d.comb += [self.o.eq(second), self.odd.eq(second[0])]
        return m


class HasLate(Late):
    """Has a `Late` inside."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = Late()
        m.d.comb += [inner.i.eq(self.i), inner.en.eq(self.en)]
        m.d.comb += [self.o.eq(inner.o), self.odd.eq(inner.odd)]
        return m


class LateChecker(Checker):
    """Compares what is shown with what was said of the inputs, and with the inputs."""

    CLAIMS: ClassVar = {
        "said": "what was said is shown later",
        "shown": "the inputs are shown later",
        "soon": "what was said is shown in the next cycle",
    }
    STAND_INS: ClassVar = {Late: Piped}
    dut: HasLate

    def describe(self):
        dut, m, (part,) = self.dut, self.m, self.parts[Late]
        said, given = [part.says, Signal(3), Signal(3)], [dut.i, Signal(2), Signal(2)]
        with m.If(dut.en):
            for stages in (said, given):
                m.d.sync += [stages[1].eq(stages[0]), stages[2].eq(stages[1])]
        shown = Cat(dut.o, dut.odd)
        self.claim("said", shown == said[2])
        self.claim("shown", dut.o == given[2])
        self.claim("soon", shown == said[1])
        self.reach(dut.en)


@pytest.mark.parametrize(
    ("claim", "status"), [("said", "PASS"), ("shown", "FAIL"), ("soon", "FAIL")]
)
def test_a_part_in_stages_shows_what_it_says_of_its_inputs_its_latency_later(
    claim, status, tmp_path
):
    built = LateChecker(HasLate(), claims=[claim])
    assert sby.run(built, mode="bmc", depth=6, directory=tmp_path / "run").status == status


@pytest.mark.parametrize(("checker", "status"), [(PassChecker, "PASS"), (Doubtful, "FAIL")])
def test_a_word_is_held_if_it_stays_until_it_is_taken(checker, status, tmp_path):
    built = checker(Pass(), claims=["held"])
    assert sby.run(built, mode="bmc", depth=4, directory=tmp_path / "run").status == status


def test_an_unknown_claim_is_refused():
    with pytest.raises(InputError, match="claim must be one of held, not 'magic'"):
        PassChecker(Pass(), claims=["magic"])


def test_a_claim_that_is_not_stated_is_seen():
    with pytest.raises(InputError, match="Forgetful must state each of \\['held'\\] once"):
        rtlil.convert(Forgetful(Pass(), claims=[]), ports=[])


@pytest.mark.parametrize(("claims", "counts"), [(["held"], (1, 2, 1)), ([], (0, 2, 1))])
def test_only_the_claims_asked_for_are_asserted(claims, counts):
    text = rtlil.convert(PassChecker(Pass(), claims=claims), ports=[], name="checker")
    # the assumptions are that there is no reset, and that words given are held
    found = tuple(text.count(f'"{kind}"') for kind in ("assert", "assume", "cover"))
    assert found == counts


def test_a_value_is_delayed_by_cycles():
    checker, value, seen = PassChecker(Pass(), claims=[]), Signal(3), []
    checker.m = m = Module()
    later = checker.delayed(value, 2, name="value")

    async def testbench(ctx):
        for number in range(1, 6):
            ctx.set(value, number)
            seen.append(ctx.get(later))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert seen == [0, 0, 1, 2, 3]
