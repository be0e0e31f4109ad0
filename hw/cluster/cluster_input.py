"""Input of a cluster: from jobs and three read channels to words for its PEs."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.formats import NUMBER_FORMATS
from gscn.hw.array_layouts import PASS, job_layout, load_layout, word_layout
from gscn.hw.cluster.dealer import Dealer
from gscn.hw.cluster.marks import MarkJoiner
from gscn.hw.cluster.offsets import TableReader
from gscn.hw.cluster.streamer import Streamer
from gscn.hw.cluster.vectors import VectorExpander
from gscn.hw.cluster.window import WindowLoader
from gscn.hw.fifo import StreamFIFO
from gscn.hw.input_layouts import LOAD_JOB, STREAM_JOB, InputState
from gscn.hw.layouts import burst_layout
from gscn.hw.port.pieces import PieceReader
from gscn.pass_errors import PASS_ERROR_WIDTH, PassError
from gscn.passes import Mode

CHANNELS = ("load", "stream", "table")
"""Read channels of a cluster, in this order."""


class ClusterInput(wiring.Component):
    """Load the stationary operand of each job into all PEs, and deal its words to them.

    A job enters four queues at once: of the table reader for both of its sides and of the loader,
    which take the jobs that contract, and of the streamer, which takes all. None waits for a later
    one of its own jobs, and each but the loader only for what comes before it on the way from
    memory to PEs; the loader also waits for room, which the streamer's marks give once the PEs have
    passed them (see `hw.cluster.window.WindowLoader`).

    A job that contracts has a strip that exists. Every job ends with an END, which has `job_end` if
    it drains; the first word or END of a job after such an one waits for a bank that is free.

    Timing
    ------
    - Latency: `LATENCY` from `data` to `o`.
    - Throughput: one word per cycle, a job every other cycle.
    - Combinational: `o.ready` -> `o.valid`, `state`, `ends_job`; `levels` -> `o.valid`; `d` ->
      `row_keys`, `row_step`.
    - Reset: no job; outputs 0, but `job.ready` = 1 and `load` meaningless.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    d : In(PASS)
        The pass; still from `begin` until all its jobs have ended.
    begin : In(1)
        A pass begins: what is known of the one before is forgotten (pulse, while there is no job).
    job : In(stream.Signature(job_layout(config)))
        Jobs.
    commands : Out(stream.Signature(burst_layout(config))).array(3)
        Bursts to read for each of `CHANNELS`.
    data : In(config.mem_width)
        Beats.
    data_valid : In(3)
        `data` is a beat of this channel.
    load : Out(load_layout(config))
        To all PEs.
    row_keys : Out(config.key_width)
        To all PEs.
    row_step : Out(config.index_width)
        To all PEs.
    o : Out(stream.Signature(word_layout(config))).array(config.pes)
        Words for each PE.
    levels : In(range(config.word_depth + 1)).array(config.pes)
        Words queued in each PE.
    marks : In(config.pes)
        A MARK or END has passed this PE, and all entries before it have been read (pulse).
    bank_cleared : In(1)
        Another accumulator bank is free (pulse).
    ends_job : Out(1)
        An END with `job_end` is given to the PEs (pulse).
    state : Out(InputState)
        Why no word leaves.
    error : Out(PASS_ERROR_WIDTH)
        What is wrong, or 0; what follows it means nothing.
    """

    LATENCY = latencies.INPUT_LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        command = stream.Signature(burst_layout(config))
        word = stream.Signature(word_layout(config))
        super().__init__(
            {
                "d": In(PASS),
                "begin": In(1),
                "job": In(stream.Signature(job_layout(config))),
                "commands": Out(command).array(len(CHANNELS)),
                "data": In(config.mem_width),
                "data_valid": In(len(CHANNELS)),
                "load": Out(load_layout(config)),
                "row_keys": Out(config.key_width),
                "row_step": Out(config.index_width),
                "o": Out(word).array(config.pes),
                "levels": In(range(config.word_depth + 1)).array(config.pes),
                "marks": In(config.pes),
                "bank_cleared": In(1),
                "ends_job": Out(1),
                "state": Out(InputState),
                "error": Out(PASS_ERROR_WIDTH),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        forget = ResetInserter(self.begin)
        tables = TableReader(config=config)
        window = WindowLoader(config=config)
        m.submodules.tables, m.submodules.window = forget(tables), forget(window)
        m.submodules.streamer = streamer = Streamer(config=config)
        m.submodules.dealer = dealer = Dealer(config=config)
        m.submodules.marks = marks = MarkJoiner(config=config)
        load_reader, load_expander = self._read(m, "load", values=2, skip=False)
        stream_reader, stream_expander = self._read(m, "stream", values=1, skip=True)

        self._queue_jobs(m, tables, window, streamer)
        connect(m, window.verdicts, tables.verdicts)
        connect(m, window.tiles, streamer.tiles)
        connect(m, window.strips, load_expander.strips)
        connect(m, load_expander.o, window.items)
        connect(m, streamer.strips, stream_expander.strips)
        connect(m, stream_expander.o, streamer.items)
        connect(m, tables.load_pieces, load_reader.request)
        connect(m, tables.stream_pieces, stream_reader.request)
        connect(m, streamer.reports, marks.reports)
        connect(m, streamer.o, dealer.i)
        for number in range(config.pes):
            m.d.comb += [
                self.o[number].p.eq(dealer.o[number].p),
                self.o[number].valid.eq(dealer.o[number].valid),
                dealer.o[number].ready.eq(self.o[number].ready),
                dealer.levels[number].eq(self.levels[number]),
            ]
        d = self.d
        m.d.comb += [
            tables.d.eq(d),
            window.d.eq(d),
            streamer.d.eq(d),
            streamer.forget.eq(self.begin),
            load_reader.addr.eq(d.s_data),
            stream_reader.addr.eq(d.t_data),
            load_expander.vectors.eq(d.s_vectors),
            load_expander.mid.eq(d.s_mid),
            load_expander.inner.eq(d.s_inner),
            stream_expander.vectors.eq(d.t_vectors),
            stream_expander.mid.eq(1),
            stream_expander.inner.eq(d.t_width),
            stream_expander.wanted.eq(streamer.wanted),
            marks.marks.eq(self.marks),
            window.report.eq(marks.o),
            window.report_valid.eq(marks.o_valid),
            window.marks_idle.eq(marks.idle),
            window.waits.eq(streamer.waits),
            streamer.chunks.eq(window.chunks),
            streamer.arrived.eq(stream_expander.arrived),
            streamer.bank_cleared.eq(self.bank_cleared),
            self.load.eq(window.load),
            self.row_keys.eq(d.row_keys),
            self.row_step.eq(Mux(d.mode == Mode.KERNEL, 0, d.row_step)),
            self.ends_job.eq(streamer.ends_job),
            self.state.eq(streamer.state),
        ]
        self._join_channels(m, (load_reader, stream_reader), tables)
        m.d.sync += self.error.eq(PassError.NONE)
        with m.If(tables.error):
            m.d.sync += self.error.eq(PassError.TABLE)
        with m.Elif(load_expander.error | stream_expander.error | streamer.error):
            m.d.sync += self.error.eq(PassError.STRIP)
        with m.Elif(window.error):
            m.d.sync += self.error.eq(PassError.WINDOW)
        return m

    def _read(self, m, name, *, values, skip):
        """Return the reader and the expander of an operand."""
        reader = PieceReader(config=self.config)
        expander = VectorExpander(config=self.config, values=values, skip=skip)
        m.submodules[f"{name}_reader"] = reader
        m.submodules[f"{name}_expander"] = expander
        widths = [self.config.format.width, *(fmt.width for fmt in NUMBER_FORMATS[1:])]
        narrow = sum((width == 8) << number for number, width in enumerate(widths))
        m.d.comb += [
            expander.window.eq(reader.window),
            expander.available.eq(reader.available),
            expander.ends.eq(reader.ends),
            reader.take.eq(expander.take),
            reader.done.eq(expander.done),
            expander.narrow.eq(Const(narrow, len(widths)).bit_select(self.d.number_format[:3], 1)),
        ]
        return reader, expander

    def _queue_jobs(self, m, tables, window, streamer):
        """Give each job to all that need it."""
        job, depth = self.job.p, self.config.job_depth
        tile, tile_known = Signal(16), Signal()
        again = tile_known & (job.s_tile == tile) & (self.d.chained == 0)
        with m.If(self.job.valid & self.job.ready & job.streams):
            m.d.sync += [tile.eq(job.s_tile), tile_known.eq(1)]
        with m.If(self.begin):
            m.d.sync += tile_known.eq(0)
        queues = []
        for name, shape, port in (
            ("table_loads", LOAD_JOB, tables.load_jobs),
            ("table_streams", STREAM_JOB, tables.stream_jobs),
            ("window_jobs", LOAD_JOB, window.jobs),
            ("stream_jobs", job_layout(self.config), streamer.jobs),
        ):
            m.submodules[name] = queue = StreamFIFO(shape=shape, depth=depth)
            connect(m, queue.o, port)
            queues.append(queue)
            m.d.comb += [
                queue.i.p[field].eq(again if field == "again" else job[field]) for field, _ in shape
            ]
        # not before all that the stream of the jobs before will read is known: jobs given early are
        # jobs that no other cluster can take when it is out of work. As all of it was a cycle ago:
        # it is far from one queue to the others
        room, takes = Signal(init=1), Signal()
        m.d.comb += [self.job.ready.eq(room), takes.eq(self.job.valid & room)]
        m.d.sync += room.eq(
            Cat(queue.i.ready for queue in queues).all() & ~tables.stream_jobs.valid & ~takes
        )
        for queue in queues:
            m.d.comb += queue.i.valid.eq(takes & (job.streams | (queue is queues[-1])))

    def _join_channels(self, m, readers, tables):
        """Drive the read channels."""
        for number, reader in enumerate(readers):
            m.d.comb += [
                self.commands[number].p.eq(reader.command.p),
                self.commands[number].valid.eq(reader.command.valid),
                reader.command.ready.eq(self.commands[number].ready),
                reader.data.eq(self.data),
                reader.data_valid.eq(self.data_valid[number]),
            ]
        table = CHANNELS.index("table")
        m.d.comb += [
            self.commands[table].p.eq(tables.command.p),
            self.commands[table].valid.eq(tables.command.valid),
            tables.command.ready.eq(self.commands[table].ready),
            tables.data.eq(self.data),
            tables.data_valid.eq(self.data_valid[table]),
        ]
