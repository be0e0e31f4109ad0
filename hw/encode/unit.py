"""The encode unit: one pass after the other, from a record in memory to results in memory."""

from __future__ import annotations

import dataclasses

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need_number
from gscn.hw.encode.front import EncodeFront
from gscn.hw.encode.inputs import Inputs
from gscn.hw.encode.integer_lanes import IntegerLanes
from gscn.hw.encode.lanes import Lanes
from gscn.hw.encode.outputs import Outputs
from gscn.hw.encode.unit_layouts import TALLY
from gscn.hw.layouts import listed_record_layout, memory_port_members
from gscn.hw.port.arbiter import ReadArbiter
from gscn.pass_errors import PASS_ERROR_WIDTH

_FRONT, _INPUTS = range(2)
"""Read channels."""


class EncodeUnit(wiring.Component):
    """Run encode passes, in floating point if the array has it, else of integers.

    A record is read and checked, then its state is read; vectors go from the walk through inputs,
    lanes and outputs, each of which may hold the one before. When all results are in memory the
    state is written. After an error no more is asked for, and what is under way is let end; the
    next pass is independent of it. A record of the other kind is answered with `FORMAT`.

    Implements: `docs/contract/encode.md`.
    Golden: `emulator.encode.run_encode`.

    Timing
    ------
    - Latency: `LATENCY` from `start` to `mem_read_cmd`.
    - Throughput: one vector per cycle and turn of lanes, at most.
    - Combinational: none.
    - Reset: idle; outputs 0, but `start.ready` = 1.

    Parameters
    ----------
    config
        Port, sizes of sums.
    depth
        Lines that each tensor has asked for or holds.

    Attributes
    ----------
    start : In(stream.Signature(listed_record_layout(config)))
        A pass.
    busy : Out(1)
        There is a pass.
    error : Out(PASS_ERROR_WIDTH)
        An `EncodeError` of the last pass, or 0; until the next one.
    flags : Out(16)
        Of the last pass: bits as in the state; until the next one begins.
    mem_read_cmd : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    mem_read_data : In(read_beats(config))
        Their beats, in order.
    mem_write_cmd : Out(stream.Signature(burst_layout(config)))
        Bursts to write.
    mem_write_data : Out(stream.Signature(write_beat_layout(config)))
        Their beats.
    mem_write_done : In(1)
        A burst is in memory (pulse).
    """

    LATENCY = EncodeFront.LATENCY + ReadArbiter.COMMAND_LATENCY
    DEPTH, VECTORS = 128, 128
    """Lines, and vectors, that hide a latency of 100 cycles; a row of a block has 64 vectors."""

    def __init__(self, *, config: ArrayConfig, depth: int = DEPTH):
        need_number(self, "depth", depth, 2)
        self.config, self._depth = config, depth
        super().__init__(
            {
                "start": In(stream.Signature(listed_record_layout(config))),
                "busy": Out(1),
                "error": Out(PASS_ERROR_WIDTH),
                "flags": Out(TALLY["flags"].shape),
                **memory_port_members(config, "mem"),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        integers = not config.floats
        m.submodules.front = front = EncodeFront(config=config, integers=integers)
        m.submodules.inputs = inputs = Inputs(
            config=config, depth=self._depth, strips=True, vectors=self.VECTORS,
            integers=integers,
        )  # fmt: skip
        m.submodules.lanes = lanes = (IntegerLanes if integers else Lanes)(config=config)
        m.submodules.outputs = outputs = Outputs(config=config, integers=integers)
        wiring.connect(m, front.start, wiring.flipped(self.start))
        wiring.connect(m, front.o, inputs.i)
        wiring.connect(m, inputs.o, lanes.i)
        for name in ("dense", "second", "bits", "verdicts", "sums", "selected"):
            wiring.connect(m, getattr(lanes, f"o_{name}"), getattr(outputs, f"i_{name}"))
        for part in (inputs, lanes, outputs):
            m.d.comb += [part.settings.eq(front.settings), part.start.eq(front.begin)]
        m.d.comb += [
            lanes.state.eq(front.state),
            outputs.state.eq(front.state),
            inputs.columns.eq(front.columns),
            outputs.columns.eq(front.columns),
            front.tally.eq(lanes.tally),
            front.halfwords[0].eq(outputs.halfwords_a),
            front.halfwords[1].eq(outputs.halfwords_b),
            front.choice.eq(outputs.choice),
            self.busy.eq(front.busy),
            self.flags.eq(lanes.tally.flags),
        ]
        self._end(m, front, inputs, lanes, outputs)
        self._read(m, front, inputs)
        self._write(m, front, outputs)
        return m

    def _end(self, m, front, inputs, lanes, outputs):
        """Finish a pass, or give it up after its first error, when nothing is under way."""
        runs, failed, ends, stopped = Signal(), Signal(), Signal(), Signal()
        found = Mux(inputs.error != 0, inputs.error, outputs.error)
        # between passes lanes are done still: a selection would be made of nothing
        m.d.comb += outputs.through.eq(lanes.done & runs)
        error = Signal(PASS_ERROR_WIDTH)
        m.d.comb += [
            failed.eq((inputs.error != 0) | (outputs.error != 0)),
            inputs.halt.eq(stopped | (runs & failed)),
            outputs.halt.eq(stopped),
            ends.eq(runs & outputs.done & ~failed),
            front.finish.eq(ends),
            front.give_up.eq(runs & stopped & inputs.quiet & ~outputs.busy),
            self.error.eq(Mux(front.error != 0, front.error, error)),
        ]
        with m.If(self.start.valid & self.start.ready):
            m.d.sync += error.eq(0)
        with m.If(ends | front.give_up):
            m.d.sync += runs.eq(0)
        with m.If(front.give_up):
            m.d.sync += error.eq(found)
        # what an error leaves in the parts stays there until the next pass begins
        with m.If(runs & failed):
            m.d.sync += stopped.eq(1)
        with m.If(front.begin):
            m.d.sync += stopped.eq(0)
        begun = Signal()
        m.d.sync += begun.eq(front.begin)
        # parts forget the errors of the pass before in the cycle of `begin`
        with m.If(begun):
            m.d.sync += runs.eq(1)

    def _read(self, m, front, inputs):
        """Let the front and the inputs share the port; they never want it at once."""
        config = dataclasses.replace(self.config, outstanding_bursts=Inputs.BURSTS)
        m.submodules.reads = reads = ReadArbiter(config=config, count=2)
        wiring.connect(m, front.command, reads.channels[_FRONT])
        wiring.connect(m, inputs.command, reads.channels[_INPUTS])
        wiring.connect(m, reads.command, wiring.flipped(self.mem_read_cmd))
        m.d.comb += [
            reads.data_valid.eq(self.mem_read_data.valid),
            front.data.eq(self.mem_read_data.payload),
            front.data_valid.eq(reads.channel_valid[_FRONT]),
            inputs.beats.payload.eq(self.mem_read_data.payload),
            inputs.beats.valid.eq(reads.channel_valid[_INPUTS]),
        ]

    def _write(self, m, front, outputs):
        """Give the port to the front when all results are in memory, else to the outputs."""
        own = Signal()
        with m.If(front.finish):
            m.d.sync += own.eq(1)
        with m.If(front.begin):
            m.d.sync += own.eq(0)
        for name, mine, others in (
            ("cmd", front.write_command, outputs.command),
            ("data", front.write_data, outputs.data),
        ):
            port = getattr(self, f"mem_write_{name}")
            m.d.comb += [
                port.p.eq(Mux(own, mine.p.as_value(), others.p.as_value())),
                port.valid.eq(Mux(own, mine.valid, others.valid)),
                mine.ready.eq(port.ready & own),
                others.ready.eq(port.ready & ~own),
            ]
        m.d.comb += [
            front.write_done.eq(self.mem_write_done & own),
            outputs.write_done.eq(self.mem_write_done & ~own),
        ]
