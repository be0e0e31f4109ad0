"""A pass ends once: with its results, then its state, in memory, or with its error."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker, joined
from formal.stand_ins import Free
from gscn.hw.encode.front import EncodeFront
from gscn.hw.encode.inputs import Inputs
from gscn.hw.encode.integer_lanes import IntegerLanes
from gscn.hw.encode.lanes import Lanes
from gscn.hw.encode.outputs import Outputs
from gscn.hw.encode.unit import EncodeUnit
from gscn.hw.port.arbiter import ReadArbiter


class EncodeUnitChecker(Checker):
    """Follow a pass from where it begins to its end.

    Front, inputs, lanes and outputs do anything that keeps to the assumptions: a pass begins when
    there is one and none has begun, and the front ends it, and writes, only after it was told to
    finish; an error of a part stays until a pass begins, and then is none; outputs are done only
    without an error, with nothing left to be written, until a pass begins.
    """

    CLAIMS = {
        "end": "a pass that has begun is finished as soon as its results are in memory without an "
        "error, or given up when, after an error, nothing is under way: once, and never both",
        "state": "what the front writes reaches memory only behind all results of a pass without "
        "an error; what outputs write, only before",
        "answers": "an answer goes to whose burst it is of",
        "halt": "from an error on inputs ask for nothing more, and outputs stop in the next cycle, "
        "until a pass begins",
        "error": "the error of a pass stays until the next one: of its record, else of its inputs, "
        "else of its outputs",
        "joined": "vectors go from the walk through inputs and lanes to outputs, each part has "
        "what it needs of the pass, and the port to read",
        "held_command": "a burst to write is held until it is taken",
        "held_data": "a beat to write is held until it is taken",
    }
    STAND_INS = {
        kind: Free for kind in (EncodeFront, Inputs, Lanes, IntegerLanes, Outputs, ReadArbiter)
    }

    dut: EncodeUnit

    def describe(self) -> None:
        """State how far a pass is."""
        dut, m = self.dut, self.m
        (front,), (inputs,) = self.parts[EncodeFront], self.parts[Inputs]
        (outputs,) = self.parts[Outputs]
        (lanes,) = self.parts[Lanes] + self.parts[IntegerLanes]
        begun = Signal()  # begun, not ended
        closing = Signal()  # the state is written
        new = self.delayed(front.begin, 1, name="begin")
        runs = begun & ~new
        bad = (inputs.error != 0) | (outputs.error != 0)
        stopped, error = Signal(), Signal.like(dut.error)
        finishes = runs & outputs.done & ~bad
        gives_up = runs & stopped & inputs.quiet & ~outputs.busy
        m.d.sync += begun.eq(front.begin | (begun & ~front.finish & ~front.give_up))
        with m.If(front.finish):
            m.d.sync += closing.eq(1)
        with m.Elif(front.begin | ~front.busy):
            m.d.sync += closing.eq(0)
        with m.If(front.begin):
            m.d.sync += stopped.eq(0)
        with m.Elif(runs & bad):
            m.d.sync += stopped.eq(1)
        with m.If(front.give_up):
            m.d.sync += error.eq(Mux(inputs.error != 0, inputs.error, outputs.error))
        with m.Elif(dut.start.valid & dut.start.ready):
            m.d.sync += error.eq(0)
        self._assume(front, inputs, outputs, begun, closing)
        self.claim(
            "end",
            (front.finish == finishes)
            & (front.give_up == gives_up)
            & ~(finishes & gives_up)
            & (outputs.through == (runs & lanes.done)),
        )
        own = Signal()  # the port is the front's: from the end of a good pass to the next one
        with m.If(finishes):
            m.d.sync += own.eq(1)
        with m.Elif(front.begin):
            m.d.sync += own.eq(0)
        pairs = [
            (dut.mem_write_cmd, front.write_command, outputs.command),
            (dut.mem_write_data, front.write_data, outputs.data),
        ]
        shows = Value.cast(1)
        for port, mine, others in pairs:
            given = Mux(own, mine.p.as_value(), others.p.as_value())
            shows &= port.valid == Mux(own, mine.valid, others.valid)
            shows &= ~port.valid | (port.p.as_value() == given)
            shows &= mine.ready == (own & port.ready)
            shows &= others.ready == (~own & port.ready)
            shows &= ~(closing & others.valid) & ~(mine.valid & ~own)
        self.claim("state", shows)
        self.claim(
            "answers",
            (front.write_done == (dut.mem_write_done & own))
            & (outputs.write_done == (dut.mem_write_done & ~own)),
        )
        self.claim("halt", (inputs.halt == (stopped | (runs & bad))) & (outputs.halt == stopped))
        self.claim("error", dut.error == Mux(front.error != 0, front.error, error))
        self.claim("joined", self._join())
        self.claim("held_command", self.held(dut.mem_write_cmd, name="o_command"))
        self.claim("held_data", self.held(dut.mem_write_data, name="o_data"))
        probe = self.probe
        self.invariant(probe.signal("runs") == runs)
        self.invariant(probe.signal("begun") == new)
        self.invariant(probe.signal("stopped") == stopped)
        self.invariant(probe.signal("error") == error)
        self.invariant(probe.signal("own") == own)
        self.invariant(~(own & begun) & (~closing | own))
        self.invariant(~new | (begun & ~stopped))
        self.invariant(~(stopped & begun) | bad)
        self.reach(closing & self.delayed(gives_up, 6, name="given_up"))

    def _join(self) -> Value:
        """Return whether the parts are connected."""
        dut = self.dut
        (front,), (inputs,) = self.parts[EncodeFront], self.parts[Inputs]
        (outputs,), (reads,) = self.parts[Outputs], self.parts[ReadArbiter]
        (lanes,) = self.parts[Lanes] + self.parts[IntegerLanes]
        beats = dut.mem_read_data
        same = [
            (part.settings.as_value() == front.settings.as_value()) & (part.start == front.begin)
            for part in (inputs, lanes, outputs)
        ]
        for name in ("dense", "second", "bits", "verdicts", "sums", "selected"):
            same.append(joined(getattr(lanes, f"o_{name}"), getattr(outputs, f"i_{name}")))
        same += [
            joined(dut.start, front.start),
            joined(front.o, inputs.i),
            joined(inputs.o, lanes.i),
            joined(front.command, reads.channels[0]),
            joined(inputs.command, reads.channels[1]),
            joined(reads.command, dut.mem_read_cmd),
            lanes.state.as_value() == front.state.as_value(),
            outputs.state.as_value() == front.state.as_value(),
            inputs.columns == front.columns,
            outputs.columns == front.columns,
            front.tally.as_value() == lanes.tally.as_value(),
            front.halfwords[0] == outputs.halfwords_a,
            front.halfwords[1] == outputs.halfwords_b,
            front.choice.as_value() == outputs.choice.as_value(),
            dut.busy == front.busy,
            dut.flags == lanes.tally.flags,
            reads.data_valid == beats.valid,
            Cat(front.data_valid, inputs.beats.valid) == reads.channel_valid,
            front.data == beats.payload,
            inputs.beats.payload == beats.payload,
        ]
        return Cat(same).all()

    def _assume(
        self, front: Free, inputs: Free, outputs: Free, begun: Value, closing: Value
    ) -> None:
        """Assume what the parts keep to."""
        self.assume(~front.begin | (front.busy & ~begun & ~closing))
        self.assume(~begun | front.busy)
        self.assume(front.start.ready == ~front.busy)
        offers = front.write_command.valid | front.write_data.valid
        self.assume(~offers | (closing & front.busy))
        names = {
            "front_command": front.write_command,
            "front_data": front.write_data,
            "outputs_command": outputs.command,
            "outputs_data": outputs.data,
        }
        for name, one in names.items():
            self.assume(self.held(one, name=name))
        new = self.delayed(front.begin, 1, name="new")
        for name, part in (("inputs", inputs), ("outputs", outputs)):
            before = self.delayed(part.error, 1, name=f"{name}_error")
            self.assume(Mux(new, part.error == 0, (before == 0) | (part.error == before)))
        was_done = self.delayed(outputs.done, 1, name="done")
        writes = outputs.command.valid | outputs.data.valid
        self.assume(Mux(new, ~outputs.done, ~was_done | outputs.done))
        self.assume(~outputs.done | (~writes & ~outputs.busy & (outputs.error == 0)))
        self.assume(begun | ~writes)
