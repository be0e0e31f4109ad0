"""A small machine that runs the program of records: one accumulator, one operand at a time."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need
from gscn.hw.encode.record import FIELD, FIELD_PLACE
from gscn.hw.encode.record_code import (
    INSTRUCTION_WIDTH,
    SCRATCH_DEPTH,
    WIDTH,
    WIDTHS,
    If,
    Kind,
    Op,
)
from gscn.hw.encode.record_pairs import RecordPairs
from gscn.hw.encode.record_program import Entry, record_program
from gscn.hw.encode.selection import CHOICE
from gscn.hw.encode.unit_layouts import TALLY
from gscn.hw.forwarding_memory import ForwardingMemory
from gscn.hw.layouts import list_range_layout
from gscn.pass_errors import PASS_ERROR_WIDTH

INSTRUCTION = data.StructLayout(WIDTHS)
SENT = data.StructLayout({"place": WIDTHS["target"], "value": signed(FIELD + 2)})
"""A value for the unit, and its place as `record_program.place` numbers them."""
_FACTOR = 33
_DIGIT = 4
_COUNT = 32
"""Bits of a factor, of a digit of it that is multiplied in a cycle, and of what is divided."""


class RecordMachine(wiring.Component):
    """Check a record and hand its fields out; hand a state out, and adapt it.

    An instruction takes a cycle, and so does what follows a branch that is taken; multiplications a
    cycle for every four bits of the factor, divisions `_COUNT`, comparisons of pairs one for each.

    Golden: `emulator.encode_checks.check_encode`.

    Timing
    ------
    - Latency: `LATENCY` from `start` to `en`. A check takes some hundred cycles.
    - Throughput: one record at a time.
    - Combinational: `value`, `list_range`, `tally`, `halfwords`, `choice` -> `sent`.
    - Reset: idle; outputs 0, but `place`, `en`, `sent` meaningless.

    Parameters
    ----------
    config
        Port.
    integers
        The unit has integers, and no floating point.

    Attributes
    ----------
    list_range : In(list_range_layout(config))
        Where the list of descriptors lies; held while it runs.
    tally : In(TALLY)
        What was counted; held while it runs `Entry.CLOSE`.
    halfwords : In(data.ArrayLayout(32, 2))
        Of strips A and B, likewise.
    choice : In(CHOICE)
        Of a selection, likewise.
    entry : In(range(len(Entry)))
        With `start`: what is to be run.
    start : In(1)
        Begin (pulse): the record, or the state, is there.
    place : Out(FIELD_PLACE)
        A field that is wanted in the next cycle.
    en : Out(1)
        `place` counts; otherwise the last one is wanted still.
    value : In(signed(FIELD + 1))
        Field of the record.
    sent : Out(SENT)
        A value for the unit.
    sent_en : Out(1)
        There is one.
    done : Out(1)
        It has come to an end (pulse).
    error : Out(PASS_ERROR_WIDTH)
        An `EncodeError`, from `done` to the next `start`.
    """

    LATENCY = 1

    def __init__(self, *, config: ArrayConfig, integers: bool = False):
        need(self, "integers", integers, isinstance(integers, bool), "True or False")
        self.config, self._integers = config, integers
        super().__init__(
            {
                "list_range": In(list_range_layout(config)),
                "tally": In(TALLY),
                "halfwords": In(data.ArrayLayout(32, 2)),
                "choice": In(CHOICE),
                "entry": In(range(len(Entry))),
                "start": In(1),
                "place": Out(FIELD_PLACE),
                "en": Out(1),
                "value": In(signed(FIELD + 1)),
                "sent": Out(SENT),
                "sent_en": Out(1),
                "done": Out(1),
                "error": Out(PASS_ERROR_WIDTH),
            }
        )

    def elaborate(self, platform):
        m = Module()
        instructions, entries = record_program(integers=self._integers)
        m.submodules.program = program = Memory(
            shape=INSTRUCTION_WIDTH, depth=len(instructions), init=instructions
        )
        m.submodules.words = words = ForwardingMemory(width=WIDTH, depth=SCRATCH_DEPTH)
        m.submodules.pairs = pairs = RecordPairs(config=self.config)
        fetch = program.read_port()
        fetched = data.View(INSTRUCTION, fetch.data)
        one = Signal(INSTRUCTION, reset_less=True)
        runs, valid, advance = Signal(), Signal(), Signal()
        place = Signal(WIDTHS["target"], reset_less=True)
        coming = Signal.like(place, reset_less=True)
        acc = Signal(signed(WIDTH), reset_less=True)
        x, holds = Signal(signed(WIDTH)), Signal()
        m.d.comb += [
            coming.eq(place),
            fetch.addr.eq(coming),
            words.addr.eq(Mux(advance, fetched.where, one.where)),
            self.place.eq(fetched.where),
            self.en.eq(advance),
            self.sent.place.eq(one.target),
            self.sent.value.eq(x),
        ]
        m.d.sync += place.eq(coming)
        with m.If(advance):
            m.d.sync += [one.eq(fetched), valid.eq(runs)]
            m.d.comb += coming.eq(place + 1)
        with m.If(self.start):
            m.d.sync += [runs.eq(1), valid.eq(0), self.error.eq(0)]
            m.d.comb += coming.eq(Array(entries)[self.entry])

        self._operand(m, words, one, acc, x)
        self._condition(m, one, acc, x, holds)
        fails, code = Signal(), Signal(PASS_ERROR_WIDTH)
        m.d.comb += [words.write_addr.eq(one.target), words.write_data.eq(acc)]
        m.d.comb += code.eq(one.target)
        m.d.sync += self.done.eq(fails)
        pairs_list = self._pairs(m, pairs, one, acc, x)
        factor, left = Signal(_FACTOR, reset_less=True), Signal(range(_COUNT + 1))
        wide = Signal(signed(WIDTH), reset_less=True)
        with m.FSM():
            with m.State("RUN"):
                m.d.comb += advance.eq(runs)
                with m.If(valid & runs), m.Switch(one.op):
                    self._simple(m, acc, x)
                    with m.Case(Op.STORE):
                        m.d.comb += words.en.eq(1)
                    with m.Case(Op.BRANCH), m.If(holds):
                        m.d.sync += valid.eq(0)
                        m.d.comb += coming.eq(one.target)
                    with m.Case(Op.FAIL):
                        m.d.comb += fails.eq(holds)
                    with m.Case(Op.SEND):
                        m.d.comb += self.sent_en.eq(1)
                    with m.Case(Op.APPEND, Op.ENDS, Op.FLAG):
                        m.d.comb += pairs_list
                    with m.Case(Op.MULTIPLY, Op.DIVIDE):
                        m.d.comb += advance.eq(0)
                        m.d.sync += [factor.eq(x), left.eq(_COUNT)]
                        m.d.sync += wide.eq(Mux(one.op == Op.MULTIPLY, acc, 0))
                        with m.If(one.op == Op.MULTIPLY):
                            m.d.sync += acc.eq(0)
                            m.next = "MULTIPLY"
                        with m.Else():
                            m.next = "DIVIDE"
                    with m.Case(Op.PAIRS):
                        m.d.comb += [advance.eq(0), pairs.start.eq(1)]
                        m.next = "PAIRS"
            with m.State("MULTIPLY"):
                m.d.sync += [
                    acc.eq(acc + wide * factor[:_DIGIT]),
                    wide.eq(wide << _DIGIT),
                    factor.eq(factor >> _DIGIT),
                ]
                with m.If(~factor[_DIGIT:].any()):
                    m.d.comb += advance.eq(1)
                    m.next = "RUN"
            with m.State("DIVIDE"):
                # the quotient comes in below what is divided, which leaves above
                rest, less = Signal(_FACTOR), Signal(signed(_FACTOR + 1))
                m.d.comb += [rest.eq(Cat(acc[_COUNT - 1], wide)), less.eq(rest - factor)]
                m.d.sync += [
                    wide.eq(Mux(less < 0, rest, less)),
                    acc.eq(Cat(less >= 0, acc[: _COUNT - 1])),
                    left.eq(left - 1),
                ]
                with m.If(left == 1):
                    m.d.comb += advance.eq(1)
                    m.next = "RUN"
            with m.State("PAIRS"), m.If(pairs.done):
                m.d.comb += [fails.eq(pairs.found), advance.eq(~pairs.found)]
                m.next = "RUN"
        with m.If(fails):
            m.d.sync += [self.error.eq(code), runs.eq(0), valid.eq(0)]
        return m

    def _operand(self, m, words, one, acc, x):
        """Choose the operand."""
        listed = self.list_range
        others = Array(
            [
                acc, listed.begin, listed.end, 1 << self.config.addr_width, (1 << _COUNT) - 1,
                *self.halfwords, self.choice.bin, self.choice.rank,
                *(self.tally[name] for name in TALLY.members),
            ]
        )  # fmt: skip
        with m.Switch(one.kind):
            with m.Case(Kind.FIELD):
                m.d.comb += x.eq(self.value)
            with m.Case(Kind.CONSTANT):
                m.d.comb += x.eq(one.where)
            with m.Case(Kind.SCRATCH):
                m.d.comb += x.eq(words.data)
            with m.Case(Kind.OTHER):
                m.d.comb += x.eq(others[one.where[:4]])

    def _condition(self, m, one, acc, x, holds):
        """Compare the accumulator with the operand."""
        equal, below = Signal(), Signal()
        m.d.comb += [equal.eq(acc == x), below.eq(acc < x)]
        values = {
            If.ALWAYS: 1, If.EQUAL: equal, If.UNEQUAL: ~equal, If.BELOW: below,
            If.AT_LEAST: ~below, If.ABOVE: ~below & ~equal, If.AT_MOST: below | equal,
            If.ANY: (acc & x).any(),
        }  # fmt: skip
        with m.Switch(one.condition):
            for condition, value in values.items():
                with m.Case(condition):
                    m.d.comb += holds.eq(value)

    def _simple(self, m, acc, x):
        """Add the operations that take one cycle."""
        for op, value in (
            (Op.LOAD, x), (Op.ADD, acc + x), (Op.SUB, acc - x), (Op.OR, acc | x),
            (Op.ABS, Mux(x < 0, -x, x)), (Op.SHIFT, acc << x[:3].as_unsigned()),
        ):  # fmt: skip
            with m.Case(op):
                m.d.sync += acc.eq(value)

    def _pairs(self, m, pairs, one, acc, x):
        """Connect the pairs; return what is assigned where an instruction is for them."""
        m.d.comb += [
            pairs.forget.eq(self.start),
            pairs.pair.begin.eq(x),
            pairs.pair.end.eq(acc),
            pairs.extent.eq(acc),
            pairs.spans.eq(x[0]),
            pairs.number.eq(one.target),
        ]
        return [
            pairs.append.eq(one.op == Op.APPEND),
            pairs.ends.eq(one.op == Op.ENDS),
            pairs.flag.eq(one.op == Op.FLAG),
        ]
