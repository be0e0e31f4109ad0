"""Results are given on until an error; a pass is done when all are in memory, or has an error."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker, joined
from formal.stand_ins import Free
from gscn.encode import Adapt, EncodeError
from gscn.hw.encode.dense_writer import DenseWriter
from gscn.hw.encode.integer_writer import IntegerWriter
from gscn.hw.encode.line_writer import LineWriter
from gscn.hw.encode.outputs import Outputs
from gscn.hw.encode.run_writer import RunWriter
from gscn.hw.encode.selector import Selector
from gscn.hw.encode.strip_writer import StripWriter


class OutputsChecker(Checker):
    """Look at what the writers are given, and at what becomes of a pass.

    Writers, selection and the writer of lines do anything. Assumed: a vector outside its range is
    one that has come, and none comes from `through` until the next pass; a result that there is
    ends within fewer bytes than addresses have.
    """

    CLAIMS = {
        "stopped": "after an error, and while halted, no line may begin, no writer is given "
        "anything, and all that comes is taken",
        "both": "a vector is given to both strips that the pass has at once, or to neither; taken "
        "when they take it",
        "done": "a pass is done exactly when all has been taken, each result that it has has left, "
        "all bursts are in memory, the choice is made, and no error was found",
        "error": "a vector outside its range is the error of the pass at once, strips that are too "
        "long when all else is in memory; the first one stays until the next pass",
        "port": "lines of each result go to memory by the port; answers go to it",
    }
    STAND_INS = {
        kind: Free
        for kind in (DenseWriter, IntegerWriter, RunWriter, StripWriter, Selector, LineWriter)
    }

    dut: Outputs

    def describe(self) -> None:
        """State what is left of a pass."""
        dut, m = self.dut, self.m
        (port,), (selector,) = self.parts[LineWriter], self.parts[Selector]
        dense, second = self.parts[DenseWriter] + self.parts[IntegerWriter]
        bits, sums = self.parts[RunWriter]
        a, b = self.parts[StripWriter]
        settings = dut.settings
        done, error = Signal(), Signal.like(dut.error)
        stopped = (error != 0) | dut.halt
        writers = {"dense": dense, "second": second, "bits": bits, "sums": sums, "a": a, "b": b}
        has = {}
        for name, kind in zip(writers, [*["addr"] * 4, "data", "data"], strict=True):
            first, end = settings[f"{name}_{kind}"], settings[f"{name}_end"]
            has[name] = end != first
            self.assume(has[name] == (end[: len(first)] != first))
        selects = settings.adapt >= Adapt.SELECT_FIRST
        left = [~has[name] | writer.ended for name, writer in writers.items()]
        complete = (
            dut.through & Cat(left).all() & port.idle & (~selects | selector.chosen) & ~stopped
        )
        outside = dense.outside | second.outside
        too_long = (has["a"] & a.exceeded) | (has["b"] & b.exceeded)
        with m.If(dut.start):
            m.d.sync += [done.eq(0), error.eq(0)]
        with m.Elif(~stopped & outside):
            m.d.sync += error.eq(EncodeError.RANGE)
        with m.Elif(complete):
            m.d.sync += [done.eq(~too_long), error.eq(Mux(too_long, EncodeError.CAPACITY, 0))]
        gone = Signal()  # all vectors of the pass
        m.d.sync += gone.eq((dut.through | gone) & ~dut.start)
        for writer, i in ((dense, dut.i_dense), (second, dut.i_second)):
            self.assume(~writer.outside | (i.valid & ~(dut.through | gone)))
        streams = [dut.i_dense, dut.i_second, dut.i_bits, dut.i_verdicts, dut.i_sums]
        streams.append(dut.i_selected)
        given = Cat(writer.i.valid for writer in (*writers.values(), selector))
        self.claim(
            "stopped",
            (port.en == ~stopped)
            & (~stopped | (~given.any() & Cat(one.ready for one in streams).all())),
        )
        wants = Cat(has["a"], has["b"])
        takes = Cat(a.i.valid & a.i.ready, b.i.valid & b.i.ready)
        verdicts = dut.i_verdicts.valid & dut.i_verdicts.ready
        self.claim("both", stopped | Mux(verdicts, takes == wants, takes == 0))
        self.claim("done", dut.done == done)
        self.claim("error", (dut.error == error) & ~(dut.done & (dut.error != 0)))
        self.claim("port", self._port(port, writers))
        self.invariant((dut.done == done) & (dut.error == error) & ~(done & (error != 0)))
        self.invariant(~done | gone)
        self.reach(done & has["a"] & has["dense"] & selects)

    def _port(self, port: Free, writers: dict[str, Free]) -> Value:
        """Return whether each writer has a channel of the port, and the port has the memory."""
        dut = self.dut
        lines = [writers[name].o for name in ("dense", "second", "bits", "sums")]
        for name in "ab":
            lines += [writers[name].o_data, writers[name].o_table]
        channels = [joined(*pair) for pair in zip(lines, port.channels, strict=True)]
        return (
            Cat(channels).all()
            & joined(port.command, dut.command)
            & joined(port.data, dut.data)
            & (port.write_done == dut.write_done)
            & (dut.busy == ~port.idle)
        )
