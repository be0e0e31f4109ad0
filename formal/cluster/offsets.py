"""Pieces are what the tables say, each is handed on once, and nothing else is read for them."""

from __future__ import annotations

from amaranth.hdl import Mux, Signal

from formal.checker import Checker
from gscn.hw.cluster.offsets import TableReader
from gscn.passes import Mode


class TableReaderChecker(Checker):
    """Look at two beats of the tables, any, which may be one.

    Assumed: the pass is held and has groups; memory sends what lies in a beat, and no more beats
    than it was asked for, in a cycle after the command. Where a job's entries lie, products of
    samples, strips and groups, is left to tests.
    """

    CLAIMS = {
        "held": "`command` is held, its payload unchanged, until it is taken",
        "held_load": "a piece to load is held until it is taken",
        "held_stream": "so is a piece of the stream",
        "beat": "one beat is asked for at a time, that of the entry where the piece that is worked "
        "on starts, or ends",
        "pieces": "a piece that is handed on begins and ends as the entries say, within the "
        "operand's data; an error is said of one that would not",
        "once": "a job to load is taken when nothing of one before is owed: it gives one piece, or "
        "an error; if its verdict is that it is held nothing, if not that piece again. So is a "
        "job of the stream, which gives as many as the pass has groups, in the order of entries",
        "verdicts": "a verdict is taken with exactly those jobs to load that are `again` of the "
        "tile of the job before",
    }

    dut: TableReader

    def describe(self) -> None:
        """State what is asked for, and what is handed on."""
        dut, m, signal = self.dut, self.m, self.probe.signal
        beat_bits = (dut.config.mem_bytes - 1).bit_length()
        self._beat_bits = beat_bits
        for name in ("mode", "t_groups", "t_halfwords", "s_halfwords"):
            still = self.any_constant(len(dut.d[name]), name=name)
            self.assume(dut.d[name] == still)
        self.assume((dut.d.t_groups != 0) & (dut.d.mode <= Mode.CORRELATE))
        self._at = self.probe.states()
        self._due = [signal("due0"), signal("due1")]
        self._hands = Signal()
        m.d.comb += self._hands.eq(
            self._at["WAIT"] & ~self._due[0] & ~self._due[1] & ~signal("settles")
        )
        self._addrs = [signal("start_addr"), signal("end_addr")]
        self.claim("held", self.held(dut.command, name="command"))
        self.claim("held_load", self.held(dut.load_pieces, name="load"))
        self.claim("held_stream", self.held(dut.stream_pieces, name="stream"))
        self._look_at_beats()
        self._look_at_pieces()
        self._count_pieces()
        self.reach(dut.stream_pieces.valid & dut.load_pieces.valid & (signal("pieces_left") == 1))

    def _look_at_beats(self) -> None:
        """Claim what is asked for, and say what the beats read last are."""
        dut, m, signal, command = self.dut, self.m, self.probe.signal, self.dut.command
        asks = command.valid & command.ready
        tag = command.p.addr[self._beat_bits :]
        width = len(tag)
        owed = [Signal(width, name=f"owed{n}") for n in range(2)]  # the oldest first
        level = Signal(range(3))
        m.d.sync += level.eq(level + asks - dut.data_valid)
        with m.If(dut.data_valid):
            m.d.sync += owed[0].eq(owed[1])
        with m.If(asks):
            last = (level - dut.data_valid)[:2]
            with m.If(last == 0):
                m.d.sync += owed[0].eq(tag)
            with m.Else():
                m.d.sync += owed[1].eq(tag)
        self.assume(~dut.data_valid | (level != 0))
        self._places = [self.any_constant(width, name=f"place{n}") for n in range(2)]
        self._contents = [
            self.any_constant(dut.config.mem_width, name=f"content{n}") for n in range(2)
        ]
        same = self._places[0] == self._places[1]
        self.assume(~same | (self._contents[0] == self._contents[1]))
        wanted = [addr[self._beat_bits :] for addr in self._addrs]
        which = Mux(self._at["ASK_END"], wanted[1], wanted[0])
        self.claim(
            "beat",
            ~command.valid
            | (
                (command.p.beats == 1)
                & (command.p.addr[: self._beat_bits] == 0)
                & (tag == which)
                & (self._at["ASK_START"] | self._at["ASK_END"])
                & (level < 2)
            ),
        )
        due, tags = self._due, [signal("tag0"), signal("tag1")]
        known = [signal("known0"), signal("known1")]
        self.invariant(level == due[0] + due[1])
        self.invariant(~due[0] | (owed[0] == tags[0]))
        self.invariant(~due[1] | (Mux(due[0], owed[1], owed[0]) == tags[1]))
        waits = self._at["ASK_END"] | self._at["WAIT"]
        self.invariant(waits | ~due[0])
        self.invariant(self._at["WAIT"] | ~due[1])
        self.invariant(~waits | (known[0] & (tags[0] == wanted[0])))
        self.invariant(~waits | (signal("same") == (wanted[0] == wanted[1])))
        self.invariant(~self._at["WAIT"] | signal("same") | (known[1] & (tags[1] == wanted[1])))
        self.invariant((~due[0] | known[0]) & (~due[1] | known[1]))
        self.invariant(signal("settles") == self.delayed(dut.data_valid, 1, name="came"))
        for place, content in zip(self._places, self._contents, strict=True):
            self.assume(~dut.data_valid | (owed[0] != place) | (dut.data == content))
            for number in range(2):
                right = signal(f"beat{number}") == content
                other = ~known[number] | due[number] | (tags[number] != place)
                self.invariant(other | right)

    def _look_at_pieces(self) -> None:
        """Claim what a piece is."""
        dut, signal = self.dut, self.probe.signal
        offsets = [addr[2 : self._beat_bits] for addr in self._addrs]
        inside = [
            addr[self._beat_bits :] == place
            for addr, place in zip(self._addrs, self._places, strict=True)
        ]
        first, end = (
            content.word_select(offset, 32)
            for content, offset in zip(self._contents, offsets, strict=True)
        )
        streams = signal("streams")
        most = Mux(streams, dut.d.t_halfwords, dut.d.s_halfwords)
        right = (first <= end) & (end <= most)
        watched = self.delayed(self._hands & inside[0] & inside[1], 1, name="watched")
        was_right = self.delayed(right, 1, name="right")
        was_stream = self.delayed(streams, 1, name="was_stream")
        was_first, was_end = (
            self.delayed(value, 1, name=name) for value, name in ((first, "first"), (end, "end"))
        )
        given = Mux(was_stream, dut.stream_pieces.p.as_value(), dut.load_pieces.p.as_value())
        valid = Mux(was_stream, dut.stream_pieces.valid, dut.load_pieces.valid)
        said = (given[:32] == was_first) & (given[32:] == (was_end - was_first)[:32])
        self.claim(
            "pieces",
            ~watched | ((dut.error == ~was_right) & (valid == was_right) & (~was_right | said)),
        )
        # what the beats said a cycle ago
        beats = [signal("beat0"), signal("beat1")]
        words = [beat.word_select(offset, 32) for beat, offset in zip(beats, offsets, strict=True)]
        other = beats[0].word_select(offsets[1], 32)
        self.invariant(~self._hands | (signal("start") == words[0]))
        self.invariant(~self._hands | (signal("end") == Mux(signal("same"), other, words[1])))

    def _count_pieces(self) -> None:
        """Claim how many pieces a job gives."""
        dut, m, signal = self.dut, self.m, self.probe.signal
        streams, left = signal("streams"), signal("pieces_left")
        groups = Mux(dut.d.mode == Mode.KERNEL, dut.d.t_groups, 1)
        takes = dut.stream_jobs.valid & dut.stream_jobs.ready
        loads = dut.load_jobs.valid & dut.load_jobs.ready
        again = dut.verdicts.valid & dut.verdicts.ready
        owed, owed_load = Signal(16), Signal()
        gives = self._hands & streams
        m.d.sync += owed.eq(owed + Mux(takes, groups, 0) - gives)
        with m.If(loads & ~again):
            m.d.sync += owed_load.eq(1)
        with m.Elif(self._hands & ~streams):
            m.d.sync += owed_load.eq(0)
        self.claim("verdicts", again == (loads & dut.load_jobs.p.again))
        handed = [
            self.delayed(self._hands & own, 1, name=name)
            for own, name in ((~streams, "handed_load"), (streams, "handed_stream"))
        ]
        repeated = self.delayed(again & ~dut.verdicts.p, 1, name="repeated")
        pairs = ((dut.load_pieces, "load"), (dut.stream_pieces, "stream"))
        news = [
            one.valid & ~self.delayed(one.valid & ~one.ready, 1, name=f"{name}_waits")
            for one, name in pairs
        ]
        # the entries of a stream's pieces follow each other
        last = Signal.like(self._addrs[0], name="last_start")
        last_end = Signal.like(self._addrs[1], name="last_end")
        follows = Signal()
        with m.If(gives):
            m.d.sync += [last.eq(self._addrs[0]), last_end.eq(self._addrs[1]), follows.eq(1)]
        with m.Elif(takes):
            m.d.sync += follows.eq(0)
        width = len(last)
        in_order = (self._addrs[0] == (last + 4)[:width]) & (
            self._addrs[1] == (last_end + 4)[:width]
        )
        self.claim(
            "once",
            (~takes | (owed == 0))
            & (~loads | (~owed_load & ~dut.load_pieces.valid))
            & (~again | loads)
            & (~gives | ((owed != 0) & (~follows | in_order)))
            & (~(self._hands & ~streams) | owed_load)
            & (news[0] == ((handed[0] & ~dut.error) | repeated))
            & (news[1] == (handed[1] & ~dut.error))
            & (~dut.error | handed[0] | handed[1]),
        )
        at = self._at
        picked = streams & (at["ASK_END"] | at["WAIT"])
        whole = streams & at["MULTIPLY"]
        self.invariant(~whole | ((left == 0) & (owed == groups) & ~follows))
        self.invariant(whole | (owed == left + picked))
        self.invariant(~(streams & at["ASK_START"]) | (left != 0))
        self.invariant(owed_load == (~streams & ~at["PICK"]))
        self.invariant(~(owed_load & dut.load_pieces.valid))
        self.invariant(~(streams & ~at["PICK"] & ~whole & dut.stream_pieces.valid))
        nexts = (signal("next_start") == (last + 4)[:width]) & (
            signal("next_end") == (last_end + 4)[:width]
        )
        self.invariant(~follows | whole | picked | (left == 0) | nexts)
        self.invariant(~(follows & streams & ~at["PICK"] & ~whole) | in_order)
        ahead = (signal("next_start") == (self._addrs[0] + 4)[:width]) & (
            signal("next_end") == (self._addrs[1] + 4)[:width]
        )
        self.invariant(~picked | ahead)
        begins = (signal("next_start") == self._addrs[0]) & (signal("next_end") == self._addrs[1])
        self.invariant(~(streams & at["ASK_START"]) | begins)
