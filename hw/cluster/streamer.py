"""Stream of a cluster: job by job, from expanded strips to words."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS, WordKind, job_layout, word_layout
from gscn.hw.cluster.contexts import ContextQueue
from gscn.hw.cluster.placer import WordPlacer
from gscn.hw.cluster.strip_walk import StripWalker
from gscn.hw.fifo import StreamFIFO
from gscn.hw.input_layouts import (
    CHUNK_NUMBER_WIDTH,
    REPORT,
    STRIP,
    WANTED,
    InputState,
    item_layout,
    product_width,
    steps_layout,
    tile_layout,
)
from gscn.latencies import ACCUMULATOR_BANKS
from gscn.passes import VECTOR, Mode


class StepMultiplier(wiring.Component):
    """Form the products that a job's keys and offsets begin with and change by, one after another.

    One bit of the factor's magnitude per cycle until none is left, and a cycle more for each. Those
    of the pass alone are kept from job to job until `forget`.

    Timing
    ------
    - Latency: `LATENCY` from `d` to `steps`.
    - Throughput: a product in one cycle and the bits of its factor.
    - Combinational: none.
    - Reset: nothing known; outputs 0.

    Parameters
    ----------
    config
        Width of keys and offsets.

    Attributes
    ----------
    d : In(PASS)
        The pass; still while there is a job.
    x0 : In(16)
        First column of the job.
    start : In(1)
        Begin (pulse).
    forget : In(1)
        The next job is of another pass (pulse).
    steps : Out(steps_layout(config))
        The products, from `done` until the next `start`.
    done : Out(1)
        All are there (pulse).
    """

    LATENCY = 2

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "d": In(PASS),
                "x0": In(16),
                "start": In(1),
                "forget": In(1),
                "steps": Out(steps_layout(config)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        d = self.d
        width = product_width(self.config)
        row_step = Mux(d.mode == Mode.KERNEL, d.y_step, d.row_step)
        first_column = Signal(signed(18))
        m.d.sync += first_column.eq(d.first_col - self.x0)
        factors = {
            "first_keys": (d.row_keys, d.first_row),
            "keys": (d.row_keys, d.t_step),
            "first_offset": (row_step, d.first_row),
            "offset": (row_step, d.t_step),
            "column": (d.x_step, d.t_step),
            "sample_keys": (d.s_keys, d.s_chunks),
            # this one is of the job
            "first_column": (d.x_step, first_column),
        }
        last = len(factors) - 1
        number = Signal(range(len(factors)))
        active, loaded, known = Signal(), Signal(), Signal()
        negative, more = Signal(), Signal()
        sum_, shifted = Signal(width), Signal(width)
        bits = Signal(18)
        multiplicand, factor = Signal(width), Signal(signed(18))
        for place, (first, second) in enumerate(factors.values()):
            with m.If(number == place):
                m.d.comb += [multiplicand.eq(first), factor.eq(second)]
        with m.If(self.start):
            m.d.sync += [active.eq(1), loaded.eq(0), number.eq(Mux(known, last, 0))]
        with m.Elif(active & ~loaded):
            m.d.sync += [
                loaded.eq(1),
                sum_.eq(0),
                shifted.eq(multiplicand),
                negative.eq(factor < 0),
                bits.eq(Mux(factor < 0, -factor, factor)),
                more.eq(factor.any()),
            ]
        with m.Elif(active & more):
            m.d.sync += [
                sum_.eq(sum_ + Mux(bits[0], shifted, 0)),
                shifted.eq(shifted << 1),
                bits.eq(bits >> 1),
                more.eq(bits[1:].any()),
            ]
        with m.Elif(active):
            for place, name in enumerate(factors):
                with m.If(number == place):
                    m.d.sync += self.steps[name].eq(Mux(negative, -sum_, sum_))
            m.d.sync += [loaded.eq(0), number.eq(number + 1)]
            with m.If(number == last):
                m.d.sync += [active.eq(0), known.eq(1)]
        m.d.sync += self.done.eq(active & loaded & ~more & (number == last) & ~self.start)
        with m.If(self.forget):
            m.d.sync += known.eq(0)
        return m


class Streamer(wiring.Component):
    """Make the words of each job, and close it with an END.

    A job that has a stream begins when the loader has said where its chunks are. It forms its
    products, finds the row of its first strip, and walks its strips. The first word or END of a job
    waits for an accumulator bank, unless the job before did not drain. The next job begins when the
    END has been taken.

    Timing
    ------
    - Latency: `LATENCY` from `items` to `o`.
    - Throughput: one word per cycle; a job costs as many cycles more as its products have bits,
      and some: see `StepMultiplier` and `hw.cluster.placer`.
    - Combinational: `o.ready`, `reports.ready` -> `jobs.ready`, `ends_job`, `state`;
      `reports.ready` -> `o.valid`; `o.ready` -> `reports.valid`; `jobs.valid`, `jobs.p`,
      `tiles.valid`, `items.valid`, `arrived` -> `state`.
    - Reset: no job; outputs 0, but `items.ready` = 1.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    d : In(PASS)
        The pass; still while there is a job, and in the cycle before the first one shows.
    forget : In(1)
        The next job is of another pass (pulse, while there is none).
    jobs : In(stream.Signature(job_layout(config)))
        All jobs, in order; one is taken when its END is.
    tiles : In(stream.Signature(tile_layout(config)))
        First chunk of each job that has a stream.
    chunks : In(CHUNK_NUMBER_WIDTH)
        Chunks loaded.
    strips : Out(stream.Signature(STRIP))
        To the expander.
    items : In(stream.Signature(item_layout(config, 1)))
        From it.
    arrived : In(1)
        It has something to expand.
    wanted : Out(WANTED)
        Channels of the job under way, one cycle after it is in `jobs`: before its first strip.
    bank_cleared : In(1)
        Another accumulator bank is free (pulse).
    o : Out(stream.Signature(word_layout(config)))
        Words.
    reports : Out(stream.Signature(REPORT))
        Of each MARK and END.
    ends_job : Out(1)
        An END with `job_end` is taken (pulse).
    waits : Out(1)
        A strip waited for its chunks in the cycle before, or still does.
    state : Out(InputState)
        Why no word leaves.
    error : Out(1)
        A nonzero has a channel that its chunk lacks (pulse).
    """

    CONTEXTS = latencies.STRIPS_NAMED

    LATENCY = WordPlacer.LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "d": In(PASS),
                "forget": In(1),
                "jobs": In(stream.Signature(job_layout(config))),
                "tiles": In(stream.Signature(tile_layout(config))),
                "chunks": In(CHUNK_NUMBER_WIDTH),
                "strips": Out(stream.Signature(STRIP)),
                "items": In(stream.Signature(item_layout(config, 1))),
                "arrived": In(1),
                "wanted": Out(WANTED),
                "bank_cleared": In(1),
                "o": Out(stream.Signature(word_layout(config))),
                "reports": Out(stream.Signature(REPORT)),
                "ends_job": Out(1),
                "waits": Out(1),
                "state": Out(InputState),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, job = self.config, self.jobs.p
        m.submodules.steps = steps = StepMultiplier(config=config)
        m.submodules.walker = walker = StripWalker(config=config)
        m.submodules.placer = placer = WordPlacer(config=config)
        m.submodules.contexts = contexts = ContextQueue(config=config)
        connect(m, walker.contexts, contexts.i)
        connect(m, contexts.o, placer.contexts)
        m.submodules.strip_queue = strips = StreamFIFO(shape=STRIP, depth=self.CONTEXTS)
        connect(m, walker.strips, strips.i)
        connect(m, strips.o, wiring.flipped(self.strips))
        connect(m, wiring.flipped(self.items), placer.items)
        connect(m, placer.o, wiring.flipped(self.o))
        connect(m, placer.reports, wiring.flipped(self.reports))

        m.d.comb += [
            steps.d.eq(self.d),
            steps.x0.eq(job.x0),
            steps.forget.eq(self.forget),
            walker.d.eq(self.d),
            walker.job.eq(job),
            walker.tile.eq(self.tiles.p),
            walker.sample_keys.eq(steps.steps.sample_keys),
            placer.d.eq(self.d),
            placer.job.eq(job),
            placer.steps.eq(steps.steps),
            contexts.chunks.eq(self.chunks),
            placer.loaded.eq(contexts.loaded),
            placer.start.eq(walker.start),
            self.waits.eq(placer.waits),
            self.error.eq(placer.error),
        ]
        ends = self.o.valid & self.o.ready & (self.o.p.kind == WordKind.END)
        running = Signal()
        with m.FSM():
            with m.State("WAIT"), m.If(self.jobs.valid):
                with m.If(~job.streams):
                    m.d.comb += walker.start.eq(1)
                    m.next = "RUN"
                with m.Elif(self.tiles.valid):
                    m.d.comb += steps.start.eq(1)
                    m.next = "STEPS"
            with m.State("STEPS"), m.If(steps.done):
                m.d.comb += [walker.start.eq(1), self.tiles.ready.eq(1)]
                m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += running.eq(1)
                with m.If(ends):
                    m.d.comb += self.jobs.ready.eq(1)
                    m.next = "WAIT"
        m.d.comb += self.ends_job.eq(ends & self.o.p.job_end)
        self._choose_lanes(m)
        self._keep_banks(m, placer.bank)
        self._say_why(m, placer, running)
        return m

    def _choose_lanes(self, m):
        """Say which channels of a position are the job's: all, or a tile's part of a group."""
        d, lane0 = self.d, self.jobs.p.lane0
        channels = Signal(9)
        m.d.comb += channels.eq(((VECTOR << d.t_vectors[:3]) >> d.t_split[:4])[:9])
        m.d.sync += [self.wanted.lanes.eq(-1), self.wanted.vector.eq(0), self.wanted.care.eq(0)]
        with m.If(self.d.mode == Mode.CORRELATE):
            # tiles begin at multiples of their channels
            m.d.sync += [self.wanted.vector.eq(lane0[4:]), self.wanted.care.eq(-channels[4:8])]
            with m.If(channels < VECTOR):
                ones = ((1 << channels[:4]) - 1)[:VECTOR]
                m.d.sync += [
                    self.wanted.lanes.eq((ones << lane0[:4])[:VECTOR]),
                    self.wanted.care.eq(-1),
                ]

    def _keep_banks(self, m, bank):
        """Take an accumulator bank for a job, unless the one before left its own."""
        free = Signal(range(ACCUMULATOR_BANKS + 1))
        takes = Signal()
        m.d.comb += takes.eq(~bank & (free != 0) & self.jobs.valid)
        taken = Signal()
        m.d.comb += bank.eq(taken)
        m.d.sync += free.eq(free + self.bank_cleared - takes)
        with m.If(takes):
            m.d.sync += taken.eq(1)
        with m.Elif(self.ends_job):
            m.d.sync += taken.eq(0)

    def _say_why(self, m, placer, running):
        """Say why no word leaves."""
        with m.If(self.o.valid | self.reports.valid):
            m.d.comb += self.state.eq(
                Mux(self.o.valid & self.o.ready, InputState.MOVING, InputState.FULL)
            )
        with m.Elif(~self.jobs.valid):
            m.d.comb += self.state.eq(InputState.EMPTY)
        with m.Elif(placer.waits | (~running & self.jobs.p.streams & ~self.tiles.valid)):
            m.d.comb += self.state.eq(InputState.LOAD)
        with m.Elif(placer.present & ~placer.bank):
            m.d.comb += self.state.eq(InputState.DRAIN)
        with m.Elif(~running | placer.present | self.items.valid | self.arrived):
            m.d.comb += self.state.eq(InputState.EXPAND)
        with m.Else():
            m.d.comb += self.state.eq(InputState.STREAM)
