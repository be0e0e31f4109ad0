"""Drain of a cluster: walk the accumulators of all PEs in lockstep, hand their results on."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.config import AcceleratorConfig
from gscn.hw.cluster.packer import Packer
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import NUMBER_MODE, OutFormat, drain_context_layout, write_part_layout
from gscn.hw.pe.pe import PE


class _Walk:
    """Registers of a walk over the accumulators, set before each.

    Parameters
    ----------
    depth
        Accumulators of a bank.
    """

    def __init__(self, depth: int) -> None:
        self.addr = Signal(range(depth), reset_less=True)
        # a walk visits each accumulator at most once, so no column, row or plane exceeds them
        self.col = Signal.like(self.addr)
        self.row = Signal.like(self.addr)
        self.plane = Signal.like(self.addr)
        # whether column and row lie behind the guard cells, and the plane is one to be written
        self.inside_cols = Signal(reset_less=True)
        self.inside_rows = Signal(reset_less=True)
        self.inside_planes = Signal(reset_less=True)

    def writes(self, drained: Value) -> Value:
        """Return whether the accumulator, if drained, is one to be written."""
        return drained & self.inside_cols & self.inside_rows & self.inside_planes

    def begin(self, m: Module, context: data.View) -> None:
        """Go to the first accumulator of a job."""
        m.d.sync += [
            self.addr.eq(0),
            self.col.eq(0),
            self.row.eq(0),
            self.plane.eq(0),
            self.inside_cols.eq(context.guard_cols == 0),
            self.inside_rows.eq(context.guard_rows == 0),
            self.inside_planes.eq(context.planes != 0),
        ]

    def step(self, m: Module, context: data.View) -> None:
        """Go to the next accumulator of a job."""
        m.d.sync += [self.addr.eq(self.addr + 1), self.col.eq(self.col + 1)]
        with m.If(self.col + 1 == context.guard_cols):
            m.d.sync += self.inside_cols.eq(1)
        with m.If(self.col + 1 == context.pitch):
            m.d.sync += [
                self.col.eq(0),
                self.inside_cols.eq(context.guard_cols == 0),
                self.row.eq(self.row + 1),
            ]
            with m.If(self.row + 1 == context.guard_rows):
                m.d.sync += self.inside_rows.eq(1)
            with m.If(self.row + 1 == context.plane_rows):
                m.d.sync += [
                    self.row.eq(0),
                    self.inside_rows.eq(context.guard_rows == 0),
                    self.plane.eq(self.plane + 1),
                ]
                with m.If(self.plane + 1 == context.planes):
                    m.d.sync += self.inside_planes.eq(0)


class Drainer(wiring.Component):
    """Drain jobs in order: walk the accumulators and write the results.

    A job is drained when every PE has finished it. After reset both accumulator banks are walked
    once to clear them.

    Implements: the drain in `docs/contract/execution.md`.

    Timing
    ------
    - Latency: `WALK_LATENCY` from `job_end` to `en`, if the writer is empty; `RESULT_LATENCY` from
      `result` to `parts`. Results follow `PE.drain_cycles` cycles behind their addresses; the bank
      is free again `PE.drain_cycles` + 1 cycles after its last accumulator was read.
    - Throughput: one accumulator of each PE per cycle.
    - Combinational: `parts.ready` -> `advance`, `cleared`, `any_saturated`, `any_nonfinite`;
      `result` -> `parts.p`; `writer_empty` -> `done`; `saturated` -> `any_saturated`; `nonfinite`
      -> `any_nonfinite`; `job_end` -> `busy`.
    - Reset: no job, both banks to be cleared; outputs 0, but `context.ready` = 1, `advance` = 1,
      `busy` = 1 and `addr`, `shift`, `out_format`, `writer_addr`, `mode` undefined.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    context : In(stream.Signature(drain_context_layout(config)))
        Announced drains.
    job_end : In(config.pes_per_cluster)
        Per PE, a job is finished (pulse).
    en : Out(1)
        To the PEs, as `drain_en` of `hw.pe.pe.PE`; likewise the next five.
    addr : Out(range(config.acc_depth))
        Accumulator.
    bank : Out(1)
        Its bank.
    advance : Out(1)
        Let the drain pipelines move.
    shift : Out(range(64))
        How results are scaled.
    out_format : Out(OutFormat)
        Their format.
    result : In(64).array(config.pes_per_cluster)
        From the PEs.
    saturated : In(config.pes_per_cluster)
        Likewise.
    parts : Out(stream.Signature(write_part_layout(config)))
        Results, in parts of beats.
    writer_start : Out(1)
        As `start` of `hw.port.writer.BurstWriter`; likewise the next three.
    writer_addr : Out(config.addr_width)
        Byte address of the results.
    writer_flush : Out(1)
        No more parts will come.
    writer_empty : In(1)
        Every complete beat has been handed on.
    cleared : Out(1)
        An accumulator bank has become free (pulse).
    done : Out(1)
        A job's results have all been handed on (pulse).
    any_saturated : Out(1)
        A written result was saturated (pulse).
    busy : Out(1)
        A finished job's results have not all been handed on.
    initialized : Out(1)
        Both banks have been cleared since reset.
    mode : Out(NUMBER_MODE)
        With float formats: to the PEs.
    nonfinite : In(config.pes_per_cluster)
        With float formats: from the PEs.
    any_nonfinite : Out(1)
        With float formats: a written result was infinite or NaN (pulse).
    """

    JOBS = latencies.DRAINS_ANNOUNCED

    WALK_LATENCY = 2
    RESULT_LATENCY = Packer.LATENCY

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        pes = config.pes_per_cluster
        floats = {"mode": Out(NUMBER_MODE), "nonfinite": In(pes), "any_nonfinite": Out(1)}
        super().__init__(
            {
                "context": In(stream.Signature(drain_context_layout(config))),
                "job_end": In(pes),
                "en": Out(1),
                "addr": Out((config.acc_depth - 1).bit_length()),
                "bank": Out(1),
                "advance": Out(1),
                "shift": Out(range(64)),
                "out_format": Out(OutFormat),
                "result": In(64).array(pes),
                "saturated": In(pes),
                "parts": Out(stream.Signature(write_part_layout(config))),
                "writer_start": Out(1),
                "writer_addr": Out(config.addr_width),
                "writer_flush": Out(1),
                "writer_empty": In(1),
                "cleared": Out(1),
                "done": Out(1),
                "any_saturated": Out(1),
                "busy": Out(1),
                "initialized": Out(1),
                **(floats if config.floats else {}),
            }
        )

    def _finished(self, m: Module, takes: Signal) -> Signal:
        """Return which PEs have finished the oldest job not yet taken; they may be a job apart."""
        finished = Signal(len(self.job_end))
        ends = [Signal(range(self.JOBS + 1), name=f"ends{pe}") for pe in range(len(self.job_end))]
        m.d.comb += finished.eq(Cat(count != 0 for count in ends))
        for count, end in zip(ends, self.job_end, strict=True):
            m.d.sync += count.eq(count + end - takes)
        return finished

    def elaborate(self, platform):
        m = Module()
        config = self.config
        drain_cycles = PE.drain_cycles(config)
        m.submodules.contexts = contexts = StreamFIFO(
            shape=drain_context_layout(config), depth=self.JOBS
        )
        wiring.connect(m, wiring.flipped(self.context), contexts.i)
        context = contexts.o.p
        m.submodules.packer = packer = Packer(config=config)
        wiring.connect(m, packer.o, wiring.flipped(self.parts))

        takes = Signal()
        finished = self._finished(m, takes)

        clears_left = Signal(range(3), init=2)
        clearing = clears_left != 0
        walk = _Walk(config.acc_depth)
        last = Signal()
        flight = Signal(drain_cycles)
        writes = Signal()
        packs = flight[-1]
        m.d.comb += [
            last.eq(walk.addr + 1 == Mux(clearing, config.acc_depth, context.walk_count)),
            writes.eq(walk.writes(self.en & ~clearing)),
            packer.i_valid.eq(packs),
            packer.out_format.eq(context.out_format),
            self.advance.eq(~packs | packer.i_ready),
            self.addr.eq(walk.addr),
            self.shift.eq(context.shift),
            self.out_format.eq(context.out_format),
            self.any_saturated.eq(packs & self.advance & self.saturated.any()),
            self.writer_addr.eq(context.out_addr),
            self.initialized.eq(~clearing),
            self.busy.eq(1),
        ]
        m.d.comb += [i.eq(result) for i, result in zip(packer.i, self.result, strict=True)]
        if config.floats:
            m.d.comb += [
                self.mode.eq(context.mode),
                self.any_nonfinite.eq(packs & self.advance & self.nonfinite.any()),
            ]
        with m.If(self.advance):
            m.d.sync += flight.eq(Cat(writes, flight[:-1]))

        settling = Signal(range(drain_cycles + 1))
        with m.FSM():
            with m.State("WAIT"):
                walk.begin(m, context)
                with m.If(clearing):
                    m.next = "WALK"
                with m.Else():
                    m.d.comb += self.busy.eq((finished | self.job_end).any())
                    with m.If(finished.all()):
                        m.d.comb += [takes.eq(1), self.writer_start.eq(1)]
                        m.next = "WALK"
            with m.State("WALK"):
                m.d.comb += self.en.eq(1)
                with m.If(self.advance):
                    walk.step(m, context)
                    with m.If(last):
                        m.d.sync += settling.eq(drain_cycles)
                        m.next = "SETTLE"
            with m.State("SETTLE"), m.If(self.advance):
                m.d.sync += settling.eq(settling - 1)
                with m.If(settling == 1):
                    m.d.comb += self.cleared.eq(1)
                    m.d.sync += self.bank.eq(~self.bank)
                    m.next = "FLUSH"
            with m.State("FLUSH"):
                with m.If(clearing):
                    m.d.sync += clears_left.eq(clears_left - 1)
                    m.next = "WAIT"
                with m.Else():
                    m.d.comb += packer.flush.eq(1)
                    with m.If(packer.flushed):
                        m.d.comb += self.writer_flush.eq(1)
                        with m.If(self.writer_empty):
                            m.d.comb += [self.done.eq(1), contexts.o.ready.eq(1)]
                            m.next = "WAIT"
        return m
