"""Tables of strips: where the pieces of both operands lie that a cluster's jobs need."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS
from gscn.hw.cluster.strip_walk import JobStrips
from gscn.hw.input_layouts import LOAD_JOB, PIECE, STREAM_JOB
from gscn.hw.layouts import burst_layout
from gscn.passes import TABLE_ENTRY_BYTES, Mode


class Product(enum.Enum, shape=2):
    """What is being multiplied; each product is part of the next one's or next but one's."""

    FIRST_ROW = 0
    """Samples before the job's first, and strips of a sample."""
    FIRST_ENTRY = 1
    """Row of the piece's first strip, and entries of a row."""
    ROWS = 2
    """Samples but one, and strips of a sample."""
    ENTRIES = 3
    """Rows of the piece, and entries of a row."""


class _Work:
    """The job or piece that is worked on.

    Parameters
    ----------
    m
        Module to which registers are added that follow from others.
    d
        The pass.
    config
        Sizes.
    """

    def __init__(self, m: Module, d: data.View, config: ArrayConfig) -> None:
        self.streams = Signal()
        """It is of the streamed operand."""
        self.product = Signal(Product)
        self.strips, self.groups = Signal(16), Signal(16)
        """Rows of a sample, and entries of a row."""
        self.strip, self.samples = Signal(signed(17)), Signal(16)
        """The job's."""
        strips = JobStrips(m, d, self.strip, streams=self.streams, most=self.strips)
        self.first_strip, self.strip_count = strips.first, Signal(16)
        """Of a sample; of the last one, and of all before it if there are any, all."""
        self.samples_less_one = Signal(16)
        m.d.sync += [
            self.strip_count.eq(strips.count),
            self.samples_less_one.eq(self.samples - 1),
        ]
        self.column = Signal(16)
        self.multiplicand = Signal(config.addr_width)
        self.multiplier, self.goes_on = Signal(16), Signal()
        """And whether that is not 0."""
        self.sum = Signal(config.addr_width)
        self.start_addr = Signal(config.addr_width)
        """Byte address of the entry that says where the piece starts."""
        self.end_addr = Signal(config.addr_width)
        """Of the one that says where it ends."""

    def multiply_by(self, value: Value) -> list:
        """Return what gives the multiplier its next value."""
        return [self.multiplier.eq(value), self.goes_on.eq(value.any())]


class _Stream:
    """What is left of the job whose pieces of the stream are being handed out.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.pieces_left = Signal(16)
        self.next_start = Signal(config.addr_width)
        self.next_end = Signal(config.addr_width)


class _Beats:
    """The beats read last for a start and for an end.

    Parameters
    ----------
    m
        Module to which the registers are added.
    work
        Whose addresses are asked for.
    config
        Sizes.
    """

    def __init__(self, m: Module, work: _Work, config: ArrayConfig) -> None:
        beat_bits = config.mem_bytes.bit_length() - 1
        self.data = [Signal(config.mem_width, name=f"beat{n}", reset_less=True) for n in range(2)]
        self.tags = [Signal(config.addr_width - beat_bits, name=f"tag{n}") for n in range(2)]
        self.known = [Signal(name=f"known{n}") for n in range(2)]
        self.due = [Signal(name=f"due{n}") for n in range(2)]
        self.wanted = [addr[beat_bits:] for addr in (work.start_addr, work.end_addr)]
        self.same = Signal()
        """One beat holds both entries, and is kept as that of the start; a cycle after both are
        known, which is before an end is asked for."""
        m.d.sync += self.same.eq(self.wanted[0] == self.wanted[1])
        self.hits = [
            known & (tag == wanted)
            for known, tag, wanted in zip(self.known, self.tags, self.wanted, strict=True)
        ]
        self.hits[1] |= self.same
        start, end = (
            addr[TABLE_ENTRY_BYTES.bit_length() - 1 : beat_bits]
            for addr in (work.start_addr, work.end_addr)
        )
        self.start, self.end = (Signal(32, name=name, reset_less=True) for name in ("start", "end"))
        """What the beats said a cycle ago."""
        self.settles = Signal()
        """A beat has come in the cycle before."""
        m.d.sync += [
            self.start.eq(self.data[0].word_select(start, 32)),
            # of both, as that takes less than to choose between all of them
            self.end.eq(Mux(self.same, *(beat.word_select(end, 32) for beat in self.data))),
        ]

    def fill(self, m: Module, beat: Signal, valid: Signal) -> None:
        """Take a beat that arrives, that of a start before that of an end."""
        m.d.sync += self.settles.eq(valid)
        with m.If(valid & self.due[0]):
            m.d.sync += [self.data[0].eq(beat), self.due[0].eq(0)]
        with m.Elif(valid):
            m.d.sync += [self.data[1].eq(beat), self.due[1].eq(0)]


class TableReader(wiring.Component):
    """Find the pieces of strips of each job and hand them to the readers of both operands.

    Load jobs and stream jobs are the same jobs, each queue at its own pace; the load side goes
    first. A job has one piece to load: kernel, all chunks of its tile; correlate, those of its
    samples, or those that its strips of one need. A job of the tile of the load job before it,
    unless the pass is chained, waits for a verdict: if that tile is held it loads nothing, else the
    same piece again. A job's stream has one piece per group (kernel) or one (correlate):
    consecutive strips that exist, of which there must be one. A piece is worked on only when the
    place for it is empty.

    Addresses come from four products, formed one bit of the multiplier per cycle until no bit is
    left: twice the bits of the strips of a sample and of the entries of a row, and a cycle each.
    Which strips or chunks the job has is found meanwhile. A start and an end are taken from the
    beats read last if they are there.

    Timing
    ------
    - Latency: `LATENCY` from `data` to `load_pieces`, and from `data` to `stream_pieces`.
    - Throughput: one piece in four cycles if its beats are there.
    - Combinational: `load_jobs.valid`, `load_jobs.p`, `verdicts.valid` -> `load_jobs.ready`,
      `stream_jobs.ready`, `verdicts.ready`; `stream_jobs.valid` -> `stream_jobs.ready`.
    - Reset: no job, no beat; outputs 0.

    Parameters
    ----------
    config
        Memory port.

    Attributes
    ----------
    d : In(PASS)
        The pass; still while there is a job.
    load_jobs : In(stream.Signature(LOAD_JOB))
        Jobs that contract, in order.
    stream_jobs : In(stream.Signature(STREAM_JOB))
        The same.
    verdicts : In(stream.Signature(1))
        For each load job that is `again`: its tile is held.
    load_pieces : Out(stream.Signature(PIECE))
        Pieces of the stationary operand.
    stream_pieces : Out(stream.Signature(PIECE))
        Pieces of the streamed operand.
    command : Out(stream.Signature(burst_layout(config)))
        Beats of tables to read, one by one.
    data : In(config.mem_width)
        Beats, in the order of the commands.
    data_valid : In(1)
        `data` is a beat.
    error : Out(1)
        A piece ends before it starts, or beyond the operand's data (pulse); it is not handed on.
    """

    LATENCY = latencies.TABLE_LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "d": In(PASS),
                "load_jobs": In(stream.Signature(LOAD_JOB)),
                "stream_jobs": In(stream.Signature(STREAM_JOB)),
                "verdicts": In(stream.Signature(1)),
                "load_pieces": Out(stream.Signature(PIECE)),
                "stream_pieces": Out(stream.Signature(PIECE)),
                "command": Out(stream.Signature(burst_layout(config))),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        work, streamed = _Work(m, self.d, self.config), _Stream(self.config)
        beats = _Beats(m, work, self.config)
        beats.fill(m, self.data, self.data_valid)
        for pieces in (self.load_pieces, self.stream_pieces):
            with m.If(pieces.ready):
                m.d.sync += pieces.valid.eq(0)
        m.d.sync += self.error.eq(0)
        with m.FSM():
            with m.State("PICK"):
                self._pick(m, work, streamed)
            with m.State("MULTIPLY"):
                self._multiply(m, work, streamed)
            with m.State("ASK_START"):
                self._ask(m, beats, 0, "ASK_END")
                with m.If(work.streams & (beats.hits[0] | self.command.ready)):
                    m.d.sync += [
                        streamed.next_start.eq(streamed.next_start + TABLE_ENTRY_BYTES),
                        streamed.next_end.eq(streamed.next_end + TABLE_ENTRY_BYTES),
                        streamed.pieces_left.eq(streamed.pieces_left - 1),
                    ]
            with m.State("ASK_END"):
                self._ask(m, beats, 1, "WAIT")
            with m.State("WAIT"), m.If(~Cat(beats.due, beats.settles).any()):
                self._hand_on(m, work, beats)
                m.next = "PICK"
        return m

    def _pick(self, m, work, streamed):
        """Choose what to work on next: what is to be loaded first."""
        d = self.d
        kernel = d.mode == Mode.KERNEL
        load, job = self.load_jobs, self.stream_jobs.p
        begun, again = streamed.pieces_left != 0, load.p.again
        repeats, loads = Signal(), Signal()
        m.d.comb += [
            repeats.eq(load.valid & again & ~self.load_pieces.valid & self.verdicts.valid),
            loads.eq(load.valid & ~again & ~self.load_pieces.valid),
            load.ready.eq(repeats | loads),
            self.verdicts.ready.eq(repeats),
        ]
        # what is worked on next, unless a product says where that lies
        m.d.sync += [
            work.start_addr.eq(streamed.next_start),
            work.end_addr.eq(streamed.next_end),
        ]
        with m.If(repeats):
            # its payload is still that of the tile
            m.d.sync += self.load_pieces.valid.eq(~self.verdicts.p)
        with m.Elif(loads):
            m.d.sync += [
                work.streams.eq(0),
                work.strips.eq(d.s_chunks),
                work.groups.eq(d.s_groups),
                work.strip.eq(load.p.strip),
                work.samples.eq(Mux(kernel, 1, load.p.samples)),
                work.column.eq(load.p.s_tile),
                work.multiplicand.eq(Mux(kernel, 0, load.p.first_sample)),
                *work.multiply_by(d.s_chunks),
            ]
            m.next = "MULTIPLY"
        with m.Elif(begun & ~self.stream_pieces.valid):
            m.d.sync += work.streams.eq(1)
            m.next = "ASK_START"
        with m.Elif(self.stream_jobs.valid & ~begun):
            m.d.comb += self.stream_jobs.ready.eq(1)
            m.d.sync += [
                work.streams.eq(1),
                work.strips.eq(d.t_strips),
                work.groups.eq(d.t_groups),
                work.strip.eq(job.strip),
                work.samples.eq(job.samples),
                work.column.eq(Mux(kernel, 0, job.t_group)),
                work.multiplicand.eq(job.first_sample),
                *work.multiply_by(d.t_strips),
            ]
            m.next = "MULTIPLY"

    def _multiply(self, m, work, streamed):
        """Add the multiplicand up; at the end of a product begin the next one."""
        kernel = self.d.mode == Mode.KERNEL
        with m.If(work.goes_on):
            m.d.sync += [
                work.sum.eq(work.sum + Mux(work.multiplier[0], work.multiplicand, 0)),
                work.multiplicand.eq(work.multiplicand << 1),
                *work.multiply_by(work.multiplier >> 1),
            ]
        with m.Else():
            m.d.sync += work.sum.eq(0)
            with m.Switch(work.product):
                with m.Case(Product.FIRST_ROW):
                    m.d.sync += [
                        work.product.eq(Product.FIRST_ENTRY),
                        work.multiplicand.eq(work.sum + work.first_strip),
                        *work.multiply_by(work.groups),
                    ]
                with m.Case(Product.FIRST_ENTRY):
                    table = Mux(work.streams, self.d.t_table, self.d.s_table)
                    entry = work.sum + work.column
                    m.d.sync += [
                        work.start_addr.eq(table + entry * TABLE_ENTRY_BYTES),
                        work.product.eq(Product.ROWS),
                        work.multiplicand.eq(work.samples_less_one),
                        *work.multiply_by(work.strips),
                    ]
                with m.Case(Product.ROWS):
                    m.d.sync += [
                        work.product.eq(Product.ENTRIES),
                        work.multiplicand.eq(work.sum + work.strip_count),
                        *work.multiply_by(work.groups),
                    ]
                with m.Default():
                    end_addr = work.start_addr + work.sum * TABLE_ENTRY_BYTES
                    m.d.sync += [work.product.eq(Product.FIRST_ROW), work.end_addr.eq(end_addr)]
                    m.next = "ASK_START"
                    with m.If(work.streams):
                        m.d.sync += [
                            streamed.next_start.eq(work.start_addr),
                            streamed.next_end.eq(end_addr),
                            streamed.pieces_left.eq(Mux(kernel, self.d.t_groups, 1)),
                        ]
                        m.next = "PICK"

    def _ask(self, m, beats, which, then):
        """Ask for the beat of a start or end, unless it is there."""
        beat_bits = self.config.mem_bytes.bit_length() - 1
        with m.If(beats.hits[which]):
            m.next = then
        with m.Else():
            m.d.comb += [
                self.command.valid.eq(1),
                self.command.p.addr.eq(beats.wanted[which] << beat_bits),
                self.command.p.beats.eq(1),
            ]
            with m.If(self.command.ready):
                m.d.sync += [
                    beats.tags[which].eq(beats.wanted[which]),
                    beats.known[which].eq(1),
                    beats.due[which].eq(1),
                ]
                m.next = then

    def _hand_on(self, m, work, beats):
        """Hand the piece on, if it lies in the operand's data."""
        halfwords = Mux(work.streams, self.d.t_halfwords, self.d.s_halfwords)
        right = (beats.start <= beats.end) & (beats.end <= halfwords)
        m.d.sync += self.error.eq(~right)
        for pieces, own in (
            (self.load_pieces, ~work.streams),
            (self.stream_pieces, work.streams),
        ):
            with m.If(own):
                m.d.sync += [
                    pieces.valid.eq(right),
                    pieces.p.first.eq(beats.start),
                    pieces.p.halfwords.eq(beats.end - beats.start),
                ]
