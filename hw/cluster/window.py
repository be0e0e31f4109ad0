"""Loading of the stationary window of a cluster: chunks into rings of keys and entries."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS, load_layout
from gscn.hw.cluster.strip_walk import JobStrips
from gscn.hw.fifo import StreamFIFO
from gscn.hw.input_layouts import (
    CHUNK_NUMBER_WIDTH,
    LOAD_JOB,
    REPORT,
    STRIP,
    item_layout,
    tile_layout,
)
from gscn.passes import VECTOR, Mode


class _Chunks:
    """Numbers of chunks, all from the beginning of the pass, and what of the rings they take.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: ArrayConfig) -> None:
        def number(name):
            return Signal(CHUNK_NUMBER_WIDTH, name=name)

        self.loaded = number("loaded")
        """Chunks loaded."""
        self.finished = number("finished")
        """Chunks that no PE will meet again: those before this number."""
        self.freed = number("freed")
        """Chunks forgotten; this one is the oldest that is kept."""
        self.keys_used = Signal(range(config.directory_depth + 1))
        """Keys from the oldest chunk's base on, those of the chunk being loaded included."""
        self.keys_fit = Signal()
        """Those of another chunk have room."""
        self.base = Signal(config.key_width)
        """First key of the next chunk, or of the one being loaded."""
        self.entry = Signal(config.entry_width)
        """Number of the next entry."""
        self.oldest_entry = Signal(config.entry_width)
        self.entries_used = Signal(config.entry_width)
        """From the oldest one to the next."""
        self.open = Signal()
        """A chunk is being loaded."""
        self.closed = Signal()
        """One was loaded in the cycle before, which the stream does not know yet."""
        self.frees = Signal()
        """The oldest chunk is forgotten in this cycle."""
        self.blocked = Signal()
        """There is no room, and nothing to forget."""


class _Tile:
    """What is known of the tile loaded last.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.place = Signal(tile_layout(config))
        self.whole = Signal()
        """None of its chunks was forgotten."""


class _Strips:
    """Strips of the job that the expander was not asked for, or has not come to the end of."""

    def __init__(self) -> None:
        self.samples_left, self.chunks_left = Signal(16), Signal(16)
        self.more = Signal()
        """There are samples left."""
        self.counting = Signal(JobStrips.CYCLES)
        """`chunks_left` is not known yet."""
        self.ends_samples = Signal()
        """The last of them is its sample's, or tile's, last."""
        self.asked = Signal(range(latencies.STRIPS_ASKED + 1))
        """Asked for, and not loaded."""


class WindowLoader(wiring.Component):
    """Load the chunks that jobs need, in their order, as far ahead as there is room.

    A chunk is a strip of the stationary operand. It takes `s_keys` keys and one entry per nonzero,
    both modulo the rings; `start` of a key is the number of the first entry that is not before it.
    A chunk is begun when its keys and its end have room, and entries are written as they have. When
    something has no room, the oldest chunk is forgotten, one per cycle, if it is finished; else
    loading waits.

    A job of the same tile as the job before is held, that is, loads nothing, if none of the tile's
    chunks was forgotten; a verdict says so. Not if the pass is chained: then its samples are
    others. Each job is told where its chunks are (`tiles`) when its loading begins. What a job
    reports finished counts unless the next one was held to the same tile: then only that one's
    reports do.

    Loading waits for room only, which finished chunks give. The stream of a job waits for chunks
    only, and those of all jobs before are loaded before its own; so both wait for each other for
    ever only if the stream needs a chunk that has no room beside those that are not finished:
    `error`. Verdicts and tiles have queues of their own, as many as jobs can be decided and not
    ended, so that no other wait comes between.

    Timing
    ------
    - Latency: `LATENCY` from `items` to `load`, and from `items` to `chunks`.
    - Throughput: one item per cycle; a chunk and a job take one cycle more each, and so does a
      chunk that is forgotten.
    - Combinational: `report_valid` -> `jobs.ready`, `error`; `items.p` -> `items.ready`, `error`;
      `items.valid`, `waits`, `marks_idle` -> `error`.
    - Reset: nothing loaded; outputs 0, but `jobs.ready` = 1 and `load` meaningless.

    Parameters
    ----------
    config
        Sizes of the rings.

    Attributes
    ----------
    d : In(PASS)
        The pass; still while there is a job, and in the cycle before the first one shows.
    jobs : In(stream.Signature(LOAD_JOB))
        Jobs that contract, in order.
    verdicts : Out(stream.Signature(1))
        For each job that is `again`: its tile is held.
    strips : Out(stream.Signature(STRIP))
        To the expander.
    items : In(stream.Signature(item_layout(config, 2)))
        From the expander.
    load : Out(load_layout(config))
        To all PEs.
    tiles : Out(stream.Signature(tile_layout(config)))
        Where the chunks of each job begin.
    chunks : Out(CHUNK_NUMBER_WIDTH)
        Chunks loaded.
    report : In(REPORT)
        From `hw.cluster.marks.MarkJoiner`, as are the next two.
    report_valid : In(1)
        `report` is true now (pulse).
    marks_idle : In(1)
        All reports were made.
    waits : In(1)
        The stream waits for a chunk, as far as it knows of those loaded a cycle ago.
    error : Out(1)
        It waits for ever: its chunks do not fit.
    """

    JOBS = latencies.JOBS_DECIDED
    STRIPS = latencies.STRIPS_TO_LOAD

    ASK_CYCLES = latencies.LOAD_ASK_CYCLES

    LATENCY = 1

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "d": In(PASS),
                "jobs": In(stream.Signature(LOAD_JOB)),
                "verdicts": Out(stream.Signature(1)),
                "strips": Out(stream.Signature(STRIP)),
                "items": In(stream.Signature(item_layout(config, 2))),
                "load": Out(load_layout(config)),
                "tiles": Out(stream.Signature(tile_layout(config))),
                "chunks": Out(CHUNK_NUMBER_WIDTH),
                "report": In(REPORT),
                "report_valid": In(1),
                "marks_idle": In(1),
                "waits": In(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        chunks, tile, strips = _Chunks(config), _Tile(config), _Strips()
        m.submodules.ends = ends = StreamFIFO(shape=config.entry_width, depth=config.chunks_depth)
        self._decide(m, chunks, tile, strips)
        self._ask(m, chunks, strips)
        self._load(m, chunks, strips, ends)
        m.d.comb += [ends.o.ready.eq(chunks.frees), self.chunks.eq(chunks.loaded)]
        with m.If(chunks.frees):
            m.d.sync += [
                chunks.freed.eq(chunks.freed + 1),
                chunks.oldest_entry.eq(ends.o.p),
            ]
            with m.If(chunks.freed == tile.place.chunk):
                m.d.sync += tile.whole.eq(0)
        m.d.comb += self.error.eq(
            chunks.blocked & self.waits & self.marks_idle & ~self.report_valid & ~chunks.closed
        )
        return m

    def _decide(self, m, chunks, tile, strips):
        """Take a job when the one before is loaded: hold its tile, or begin to load it.

        Of each job that is decided and not ended but the last one, a queue knows whether the next
        one is held to its tile.
        """
        m.submodules.verdict_queue = verdicts = StreamFIFO(shape=1, depth=self.JOBS)
        m.submodules.tile_queue = tiles = StreamFIFO(
            shape=tile_layout(self.config), depth=self.JOBS
        )
        m.submodules.held_next = held_next = StreamFIFO(shape=1, depth=self.JOBS)
        connect(m, verdicts.o, wiring.flipped(self.verdicts))
        connect(m, tiles.o, wiring.flipped(self.tiles))
        under_way = Signal(range(self.JOBS + 1))
        held, decides, idle = Signal(), Signal(), Signal()
        again = self.jobs.p.again
        kernel = self.d.mode == Mode.KERNEL
        m.d.comb += [
            idle.eq(~strips.more & (strips.asked == 0)),
            held.eq(again & tile.whole),
            self.jobs.ready.eq(
                idle & (under_way != self.JOBS) & verdicts.i.ready & ~self.report_valid
            ),
            decides.eq(self.jobs.valid & self.jobs.ready),
            verdicts.i.p.eq(held),
            verdicts.i.valid.eq(decides & again),
            tiles.i.p.chunk.eq(Mux(held, tile.place.chunk, chunks.loaded)),
            tiles.i.p.base.eq(Mux(held, tile.place.base, chunks.base)),
            tiles.i.valid.eq(decides),
            held_next.i.p.eq(held),
            held_next.i.valid.eq(decides & (under_way != 0)),
            held_next.o.ready.eq(self.report_valid & self.report.ends_job),
        ]
        ends = self.report_valid & self.report.ends_job
        m.d.sync += under_way.eq(under_way + decides - ends)
        with m.If(decides & held & ~held_next.o.valid):
            # the job before is the oldest, and has reported for itself alone
            m.d.sync += chunks.finished.eq(tile.place.chunk)
        # of what was at the head of the queue two cycles ago
        count = JobStrips(m, self.d, self.jobs.p.strip, streams=0, most=self.d.s_chunks)
        m.d.sync += strips.counting.eq(Cat(decides & ~held, strips.counting))
        with m.If(strips.counting[-1]):
            m.d.sync += [strips.chunks_left.eq(count.count), strips.ends_samples.eq(count.ends)]
        with m.If(decides & ~held):
            m.d.sync += [
                tile.whole.eq(1),
                tile.place.eq(tiles.i.p),
                strips.samples_left.eq(Mux(kernel, 1, self.jobs.p.samples)),
                strips.more.eq(1),
            ]
        with m.If(self.report_valid & self.report.uses & ~(held_next.o.valid & held_next.o.p)):
            m.d.sync += chunks.finished.eq(self.report.finished)

    def _ask(self, m, chunks, strips):
        """Ask the expander for the strips of a job, by a queue: it is known late when it takes."""
        m.submodules.strip_queue = queue = StreamFIFO(shape=STRIP, depth=self.STRIPS)
        connect(m, queue.o, wiring.flipped(self.strips))
        last = strips.chunks_left == 1
        m.d.comb += [
            queue.i.valid.eq(
                strips.more & ~strips.counting.any() & (strips.asked != latencies.STRIPS_ASKED)
            ),
            queue.i.p.rows.eq(Mux(last & strips.ends_samples, self.d.s_outer_last, self.d.s_outer)),
            queue.i.p.ends_piece.eq(last & (strips.samples_left == 1)),
        ]
        asked = queue.i.valid & queue.i.ready
        with m.If(asked):
            m.d.sync += [
                strips.chunks_left.eq(Mux(last, self.d.s_chunks, strips.chunks_left - 1)),
                strips.samples_left.eq(strips.samples_left - last),
                strips.more.eq(~queue.i.p.ends_piece),
            ]
        loaded = self.items.valid & self.items.ready & self.items.p.ends_strip
        m.d.sync += strips.asked.eq(strips.asked + asked - loaded)

    def _load(self, m, chunks, strips, ends):
        """Begin a chunk, and write what the expander finds in it."""
        d, config = self.d, self.config
        item, end = self.items.p, ends.i
        key = Signal(config.key_width)
        after = Signal(config.entry_width)
        used = chunks.entries_used
        needs, fits, free = Signal(), Signal(), Signal()
        m.d.comb += [
            after.eq(chunks.entry + item.count),
            # a chunk to begin, or an item
            needs.eq(Mux(chunks.open, self.items.valid, strips.asked != 0)),
            fits.eq(
                Mux(
                    chunks.open,
                    # used + item.count < config.stationary_depth, a power of two
                    ~(used[1:].all() & Mux(used[0], item.count != 0, item.count == 2)),
                    chunks.keys_fit & end.ready,
                )
            ),
            # one that no strip needs may be finished before it is loaded
            free.eq((chunks.freed != chunks.finished) & ends.o.valid),
            chunks.frees.eq(needs & ~fits & free),
            chunks.blocked.eq(needs & ~fits & ~free),
            self.items.ready.eq(chunks.open & fits),
        ]
        begins = needs & ~chunks.open & fits
        takes = self.items.valid & self.items.ready
        closes = takes & item.ends_strip
        m.d.sync += chunks.closed.eq(closes)
        m.d.comb += [end.p.eq(after), end.valid.eq(closes)]
        self._count(m, chunks, ends.o.p, begins, Mux(takes, item.count, 0))
        offset = self._count_offset(m, item, chunks.open, takes)
        load, written, told = self.load, Signal(), Signal()
        # Where the chunk before ended, its start is written, and words may be reading it.
        m.d.comb += told.eq(written & (key == chunks.base))
        m.d.sync += [
            written.eq(written | closes),
            load.key_en.eq((begins & ~told) | (takes & item.ends_position)),
            load.key.eq(Mux(begins, chunks.base, key + 1)),
            load.start.eq(after),
            load.entry_addr.eq(chunks.entry),
        ]
        for lane in range(len(load.entry_en)):
            m.d.sync += [
                load.entry_en[lane].eq(takes & (item.count > lane)),
                load.entries[lane].value.eq(item["values"][lane]),
                load.entries[lane].offset.eq(offset + item.vector * VECTOR + item.lanes[lane]),
            ]
        with m.If(begins):
            m.d.sync += [
                load.start.eq(chunks.entry),
                chunks.open.eq(1),
                key.eq(chunks.base),
            ]
        with m.If(takes):
            m.d.sync += chunks.entry.eq(after)
            with m.If(item.ends_position):
                m.d.sync += key.eq(key + 1)
        with m.If(closes):
            m.d.sync += [
                chunks.open.eq(0),
                chunks.loaded.eq(chunks.loaded + 1),
                chunks.base.eq(chunks.base + d.s_keys),
            ]

    def _count(self, m, chunks, oldest_entry, begins, entries):
        """Count the keys and entries from the oldest chunk on.

        One that is forgotten leaves `oldest_entry` as the oldest. It had no room; what begins, or
        has `entries`, has: never both in a cycle. What may come of it is found before it is known
        which comes.
        """
        depth, step = self.config.directory_depth, self.d.s_keys
        keys, used = chunks.keys_used, chunks.entries_used
        more, fewer, kept = Signal(len(step) + 1), Signal.like(keys), Signal.like(used)
        m.d.comb += [
            more.eq(keys + step),
            fewer.eq(keys - step),
            kept.eq(used - (oldest_entry - chunks.oldest_entry)),
        ]
        m.d.sync += [chunks.keys_fit.eq(more < depth), used.eq(used + entries)]
        with m.If(chunks.frees):
            m.d.sync += [keys.eq(fewer), chunks.keys_fit.eq(keys < depth), used.eq(kept)]
        with m.Elif(begins):
            m.d.sync += [keys.eq(more), chunks.keys_fit.eq(keys + (step << 1) < depth)]

    def _count_offset(self, m, item, is_open, takes):
        """Return the offset of the position that an item is of, counted from the chunk's begin."""
        d = self.d
        mid = Signal(8)
        row_offset, offset = Signal(self.config.index_width), Signal(self.config.index_width)
        next_mid, next_row, next_offset = (Signal.like(one) for one in (mid, row_offset, offset))
        with m.If(~is_open):
            m.d.comb += next_mid.eq(d.s_mid)
        with m.Else():
            m.d.comb += [next_mid.eq(mid), next_row.eq(row_offset), next_offset.eq(offset)]
            with m.If(item.ends_row & (mid == 1)):
                m.d.comb += [next_mid.eq(d.s_mid), next_row.eq(0), next_offset.eq(0)]
            with m.Elif(item.ends_row):
                m.d.comb += [
                    next_mid.eq(mid - 1),
                    next_row.eq(row_offset + d.s_offset_mid),
                    next_offset.eq(next_row),
                ]
            with m.Elif(item.ends_position):
                m.d.comb += next_offset.eq(offset + d.s_offset_inner)
        with m.If(~is_open | takes):
            m.d.sync += [mid.eq(next_mid), row_offset.eq(next_row), offset.eq(next_offset)]
        return offset
