"""Chunks are loaded one behind the other into the rings, and over nothing that is still needed."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker, Follower, Queue
from gscn.hw.cluster.window import WindowLoader
from gscn.latencies import STRIPS_ASKED

_MOST_CHUNKS = 1 << 15
"""Of a pass, so that numbers can be compared."""


class WindowLoaderChecker(Checker):
    """Follow one chunk and one job, each any.

    Assumed: the pass does not change, its chunks have keys, fewer than the ring, and are fewer than
    32768; a strip has no more positions than a chunk has keys, and ends with one; a job has taken
    its tile before it ends. What a job reports finished grows, from its own first chunk on, and
    lies within the chunks that are loaded when the next one is decided; while a later one is of
    another tile, before that one's first chunk. Offsets of entries, and which strips are asked for,
    are left to tests.
    """

    CLAIMS = {
        "starts": "the start of a key is written when the position before it has ended, or, once, "
        "that of a chunk's first key before its first entry: the number of entries so far, at the "
        "key behind the one before, or the chunk's first",
        "entries": "the nonzeros that come are written, each once, one behind the other",
        "chunks": "`chunks` counts the strips that were loaded",
        "kept": "nothing is written over keys or entries of a chunk that is loaded and not "
        "finished",
        "needed": "no chunk from a job's first one on is finished before the job reports it",
        "verdicts": "a job of the tile of the job before is held exactly if no chunk of that tile "
        "was forgotten",
        "tiles": "a job is told the next chunk that is loaded, or, if it is held, what the job "
        "before was told",
        "error": "an error is told only if the stream waits, all reports are made, and what comes "
        "next has no room beside the chunks that are not finished",
    }

    dut: WindowLoader

    def describe(self) -> None:
        """State what is loaded."""
        dut, signal = self.dut, self.probe.signal
        config = dut.config
        self._freed, self._finished = signal("freed"), signal("finished")
        self._keys = self.any_constant(len(dut.d.s_keys), name="keys")
        chained = self.any_constant(1, name="chained")
        self.assume((dut.d.s_keys == self._keys) & (dut.d.chained == chained))
        self.assume((self._keys != 0) & (self._keys < config.directory_depth))
        self.assume(dut.chunks < _MOST_CHUNKS)
        self._takes = dut.items.valid & dut.items.ready
        self._closes = self._takes & dut.items.p.ends_strip
        self._ends = Queue(self, "ends", depth=config.chunks_depth, width=config.entry_width)
        self._count()
        self._follow_chunk()
        self._follow_job()
        self._look_at_rings()
        self.reach(signal("frees") & (dut.chunks == 2) & ~signal("whole"))

    def _count(self) -> None:
        """Claim where keys and entries are written."""
        dut, m = self.dut, self.m
        config, item, load = dut.config, dut.items.p, dut.load
        takes, closes = self._takes, self._closes
        self._base = Signal(config.key_width, name="first_key")
        """Of the chunk that is loaded, or comes next."""
        self._entries = Signal(config.entry_width, name="entries_so_far")
        self._positions = Signal(len(self._keys), name="positions")
        started = self._started = Signal(name="started")
        """The chunk's first key has its start."""
        chunks = Signal.like(dut.chunks)
        key = (self._base + self._positions + 1)[: config.key_width]
        reaches = self._positions + 1 == self._keys
        m.d.sync += [
            self._entries.eq(self._entries + Mux(takes, item.count, 0)),
            chunks.eq(chunks + closes),
        ]
        self.assume(item.count <= 2)
        self.assume(~item.ends_strip | item.ends_position)
        self.assume(~(takes & item.ends_position & reaches) | item.ends_strip)
        # what is written was known a cycle ago
        was_end = self.delayed(takes & item.ends_position, 1, name="was_end")
        was_key = self.delayed(key, 1, name="was_key")
        begins = load.key_en & ~was_end
        with m.If(begins):
            m.d.sync += started.eq(1)
        with m.If(closes):
            m.d.sync += [
                self._base.eq(self._base + self._keys),
                self._positions.eq(0),
                started.eq(reaches),
            ]
        with m.Elif(takes & item.ends_position):
            m.d.sync += self._positions.eq(self._positions + 1)
        begun = started | begins
        self.claim(
            "starts",
            (~was_end | load.key_en)
            & (~load.key_en | (load.start == self._entries))
            & (~was_end | (load.key == was_key))
            & (~begins | (~started & (load.key == self._base)))
            & (~takes | begun),
        )
        width = len(item["values"][0])
        told = []
        for lane in range(2):
            own = self.delayed(takes & (item.count > lane), 1, name=f"own{lane}")
            value = self.delayed(Value.cast(item["values"][lane])[:width], 1, name=f"value{lane}")
            told.append(load.entry_en[lane] == own)
            told.append(~own | (load.entries[lane].value.as_unsigned() == value))
        place = self.delayed(self._entries, 1, name="place")
        self.claim("entries", Cat(told).all() & (~load.entry_en.any() | (load.entry_addr == place)))
        self.claim("chunks", dut.chunks == chunks)
        signal = self.probe.signal
        self._open = signal("open")
        self.invariant(dut.chunks == chunks)
        self.invariant((signal("base") == self._base) & (signal("entry") == self._entries))
        self.invariant((self._positions < self._keys) & (self._open | (self._positions == 0)))
        at = (self._base + self._positions)[: config.key_width]
        self.invariant(~self._open | ((signal("key") == at) & begun))
        # whether the last key that was written is the next chunk's first
        written = signal("written")
        self.invariant(written == (chunks != 0))
        self.invariant(self._open | (begun == (written & (signal("key") == self._base))))
        self.invariant(~was_end | load.key_en)
        self.invariant(~was_end | (load.key == was_key))
        self.invariant(~load.key_en | (load.start == self._entries))
        self.invariant(~begins | (~started & (load.key == self._base) & self._open))

    def _follow_chunk(self) -> None:
        """Claim that a chunk is kept until it is finished."""
        dut, m, config = self.dut, self.m, self.dut.config
        number = self.any_constant(len(dut.chunks), name="chunk")
        self._own = dut.chunks == number
        first_key, keys = Signal(config.key_width), Signal(len(self._keys), name="own_keys")
        first, size = Signal(config.entry_width), Signal(config.entry_width)
        own_first = Signal(config.entry_width, name="open_first")
        with m.If(~self._open):
            m.d.sync += own_first.eq(self._entries)
        after = (self._entries + dut.items.p.count)[: config.entry_width]
        with m.If(self._closes & self._own):
            m.d.sync += [
                first_key.eq(self._base),
                keys.eq(self._positions + 1),
                first.eq(own_first),
                size.eq(after - own_first),
            ]
        there = (number < dut.chunks) & (number >= self._freed)
        needed = (number < dut.chunks) & (number >= self._finished)
        written = self.delayed(self._closes & self._own, 1, name="just_closed")
        load = dut.load
        key = (load.key - first_key)[: config.key_width]
        over_key = load.key_en & ~written & (key <= keys)
        over = [
            load.entry_en[lane] & ((load.entry_addr + lane - first)[: config.entry_width] < size)
            for lane in range(2)
        ]
        over_entry = Cat(over).any() & ~written
        self.claim("kept", ~needed | ~(over_key | over_entry))
        # the same a cycle before it is seen
        self.invariant(~there | ~(over_key | over_entry))
        since = (dut.chunks - number)[:9]  # no more are there
        span = (since * self._keys)[: config.key_width]
        self.invariant(~there | (first_key == (self._base - span)[: config.key_width]))
        self.invariant(~there | ((keys != 0) & (keys <= self._keys)))
        newest = number + 1 == dut.chunks
        self.invariant(~(there & newest & (keys == self._keys)) | self._started)
        oldest = self.probe.signal("oldest_entry")
        used = (self._entries - oldest)[: config.entry_width]
        begin = (first - oldest)[: config.entry_width]
        place = (number - self._freed)[: len(self._ends.level)]
        end = self._ends.row(place)
        self.invariant(~there | (end == (first + size)[: config.entry_width]))
        self.invariant(~there | (begin + size <= used))
        self.invariant(~there | (place != 0) | (begin == 0))
        before = (self._ends.row((place - 1)[: len(place)]) - oldest)[: config.entry_width]
        self.invariant(~there | (place == 0) | (begin == before))
        # of the one that is being loaded
        last = self._ends.row((self._ends.level - 1)[: len(place)])
        last = Mux(self._ends.level == 0, oldest, last)
        self.invariant(self._open | (last == self._entries))
        self.invariant(~self._open | (own_first == last))

    def _follow_job(self) -> None:
        """Claim what a job is told, and that it has its chunks until it is through with them."""
        # Long: both are about the same jobs, and each needs what is known of the other
        dut, m, signal = self.dut, self.m, self.probe.signal
        jobs, report, most = dut.jobs, dut.report, dut.JOBS
        decides = jobs.valid & jobs.ready
        ends = dut.report_valid & report.ends_job
        under_way, decided = Signal(range(most + 1), name="jobs_under_way"), Signal()
        m.d.sync += [under_way.eq(under_way + decides - ends), decided.eq(decided | decides)]
        tile = dut.tiles.p.shape()
        place = tile(signal("place"))
        again = jobs.p.again
        self.assume(~again | decided)
        held = again & (self._freed <= place.chunk)
        tiles = Queue(self, "tile_queue", depth=most, width=len(place.as_value()))
        verdicts = Queue(self, "verdict_queue", depth=most, width=1)
        nexts = Queue(self, "held_next", depth=most, width=1)
        self.assume(~dut.report_valid | (under_way != 0))
        self.assume(~ends | (tiles.level < under_way))

        # -- what it is told
        told = Signal(tile, name="told_before")
        fresh = Signal(tile, name="told_now")
        m.d.comb += [
            fresh.chunk.eq(Mux(held, told.chunk, dut.chunks)),
            fresh.base.eq(Mux(held, told.base, self._base)),
        ]
        with m.If(decides):
            m.d.sync += told.eq(fresh)
        word = tiles.follow(
            enters=decides, word=fresh.as_value(), leaves=dut.tiles.valid & dut.tiles.ready
        )
        owed = Signal(range(most + 1), name="tiles_owed")
        m.d.sync += owed.eq(owed + decides - (dut.tiles.valid & dut.tiles.ready))
        self.claim(
            "tiles",
            (dut.tiles.valid == (owed != 0))
            & (~word.is_next | (dut.tiles.p.as_value() == word.word)),
        )
        self.invariant(tiles.level == owed)
        verdict = verdicts.follow(
            enters=decides & again, word=held, leaves=dut.verdicts.valid & dut.verdicts.ready
        )
        owed = Signal(range(most + 1), name="verdicts_owed")
        m.d.sync += owed.eq(owed + (decides & again) - (dut.verdicts.valid & dut.verdicts.ready))
        self.claim(
            "verdicts",
            (dut.verdicts.valid == (owed != 0))
            & (~verdict.is_next | (dut.verdicts.p == verdict.word)),
        )
        self.invariant(verdicts.level == owed)
        self.invariant(~decided | (place.as_value() == told.as_value()))
        self.invariant(~decided | (signal("whole") == (self._freed <= place.chunk)))
        self.invariant(~decided | (place.chunk <= dut.chunks))
        self.invariant(tiles.level <= under_way)
        self.invariant(nexts.level == Mux(under_way == 0, 0, under_way - 1))
        self.invariant((signal("under_way") == under_way) & (under_way <= most))
        self.invariant(decided | (under_way == 0))
        self.invariant(~self._open | (signal("asked") != 0))
        self.invariant(signal("asked") <= STRIPS_ASKED)

        # -- what is finished
        next_held = (nexts.level != 0) & nexts.row(0)
        reports = dut.report_valid & report.uses
        counts = reports & ~next_held
        job = Follower(
            self, name="job", enters=decides, word=fresh.chunk, ahead=under_way, leaves=ends
        )
        oldest = job.inside & (job.ahead == 0)
        said, own_held = Signal.like(dut.chunks, name="said"), Signal(name="own_held")
        reported = Signal.like(dut.chunks, name="reported")
        with m.If(job.enters):
            m.d.sync += [said.eq(fresh.chunk), own_held.eq(held)]
        with m.Elif(reports & oldest):
            m.d.sync += said.eq(report.finished)
        with m.If(counts):
            m.d.sync += reported.eq(report.finished)
        self.assume(~(reports & oldest) | (report.finished >= said))
        self.assume(~counts | (report.finished >= self._finished))
        self.assume(~(counts & job.inside & ~oldest) | (report.finished <= job.word))
        self.assume(~(counts & (under_way > 1)) | (report.finished <= place.chunk))
        self.assume(~decides | (reported <= dut.chunks))
        self.assume(~counts | (report.finished <= _MOST_CHUNKS))
        self.claim("needed", ~job.inside | (self._finished <= said))
        self.invariant(~job.inside | (self._finished <= said))
        self.invariant(~job.inside | (said >= job.word))
        self.invariant(~job.inside | oldest | (said == job.word))
        self.invariant(~job.inside | (job.ahead < under_way))
        self.invariant(
            ~job.inside | oldest | (nexts.row((job.ahead - 1)[: len(nexts.level)]) == own_held)
        )
        newest = job.inside & (job.ahead + 1 == under_way)
        self.invariant(~newest | (place.chunk == job.word))
        self.invariant((under_way < 2) | (self._finished <= place.chunk))
        self.invariant((self._finished <= reported) | (self._finished <= dut.chunks))
        self.invariant((self._freed <= self._finished) & (self._freed <= dut.chunks))
        self.invariant(self._ends.level == (dut.chunks - self._freed)[: len(self._ends.level)])
        self.invariant((dut.chunks - self._freed) <= dut.config.chunks_depth)
        self.invariant(~self._open | (self._ends.level < dut.config.chunks_depth))

    def _look_at_rings(self) -> None:
        """Say how much of the rings is used, and claim when there is no room."""
        dut, signal, config = self.dut, self.probe.signal, self.dut.config
        oldest = signal("oldest_entry")
        used = (self._entries - oldest)[: config.entry_width]
        chunks = (dut.chunks - self._freed)[: len(self._ends.level)]
        self.invariant(
            (signal("keys_used") == (chunks + self._open) * self._keys)
            & (signal("keys_used") < config.directory_depth)
        )
        later = Signal()
        self.m.d.sync += later.eq(1)
        fits = signal("keys_used") + self._keys < config.directory_depth
        self.invariant(~later | (signal("keys_fit") == fits))
        self.invariant(later | (signal("asked") == 0))
        self.invariant(signal("entries_used") == used)
        places = [
            (self._ends.row(n) - oldest)[: config.entry_width] for n in range(config.chunks_depth)
        ]
        for number, place in enumerate(places):
            inside = number < self._ends.level
            before = places[number - 1] if number else 0
            self.invariant(~inside | ((place >= before) & (place <= used)))
        item = dut.items.p
        none = Mux(
            self._open,
            used + item.count >= config.stationary_depth,
            ((chunks + 1) * self._keys >= config.directory_depth) | (chunks == config.chunks_depth),
        )
        kept = (self._freed == self._finished) | (chunks == 0)
        self.claim(
            "error",
            ~dut.error | (dut.waits & dut.marks_idle & ~dut.report_valid & none & kept),
        )
