"""The AXI4 manager: bursts and beats in order, as the protocol has them, to their ends; errors."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Queue, total
from formal.host.axi_ends import AxiEnds, Direction, Sending
from gscn.hw.host.axi import BURST_INCR, AxiManager
from gscn.hw.host.axi_ports import BURST_BOUNDARY_BYTES, Response


class AxiManagerChecker(AxiEnds):
    """Follow one burst each way, and one beat that is written, through an `AxiManager`.

    Assumed: commands are of 1 to `burst_beats` beats, aligned to beats, and do not cross a multiple
    of `burst_beats`; a beat is answered only of a burst whose address the port has taken, `rlast`
    with its last; a written burst only when its address and its last beat have been taken.
    """

    CLAIMS = {
        "reads": "read commands leave in order as incrementing bursts of whole beats, none across "
        "a multiple of 4096 bytes, each held until it is taken",
        "writes": "so do write commands",
        "beats": "beats leave in order, `wlast` with the last of each command, no byte of them "
        "strobed that was taken while flushed",
        "held": "a beat is held, unchanged, until it is taken",
        "after": "no beat is taken before its command",
        "answers": "answers are taken at once, and handed on in that cycle unless flushed",
        "idle": "`idle` is high exactly if all commands are answered",
        "granted": "a command is taken in the cycle in which it is offered, unless flushed, while "
        "one of fewer than `COMMAND_DEPTH` waits for the port, and there may be one more under way",
        "cleared": "while flushed no command and no beat is taken; when idle besides, nothing is "
        "offered, and every burst that the port has seen is ended: a reset then breaks nothing",
        "read_ends": "until a read's address is taken the port offers one in every cycle, at most "
        "`COMMAND_DEPTH`; then it is owed beats in every cycle, at most `outstanding_bursts` x "
        "`burst_beats`, until its last",
        "write_ends": "likewise a written burst's address; until its last beat is taken, in every "
        "cycle a beat is offered, is on its way, or is waited for from the array, at most "
        "`WRITE_BURSTS` x `burst_beats`; then answers are owed, at most `WRITE_BURSTS`",
        "kept": "an error is kept, unchanged, until it is forgotten, and arises from an answer "
        "that has one",
        "read_error": "the first beat with an error is kept, with its address",
        "write_error": "the first burst with an error is kept, with its address",
    }

    dut: AxiManager

    def describe(self) -> None:
        """State what the lists of bursts say about what is on the port."""
        dut, axi = self.dut, self.dut.axi
        self._shift = (dut.config.mem_bytes - 1).bit_length()
        read = self._direction(
            "read", "ar", dut.config.outstanding_bursts, answers=axi.rvalid & axi.rlast
        )
        write = self._direction("write", "aw", dut.WRITE_BURSTS, answers=axi.bvalid)
        self.claim("reads", read.order)
        self.claim("writes", write.order)
        self.claim(
            "answers",
            axi.rready & axi.bready
            & (dut.read_data.valid == (axi.rvalid & ~dut.flush))
            & (dut.read_data.payload == axi.rdata)
            & (dut.write_done == (axi.bvalid & ~dut.flush)),
        )  # fmt: skip
        self.claim("idle", dut.idle == ((read.pending.level == 0) & (write.pending.level == 0)))
        self.claim("granted", read.granted & write.granted)
        whole, sending = self._beats(write)
        reads_error = self._read_answers(read)
        self._write_answers(write, reads_error)
        self._kept()
        self.cleared(read, write, sending)
        self.read_ends(read)
        self.write_ends(write, sending)
        self.at_port = {"rd": read.open, "awr": write.open, "wr": sending.complete}
        self.reach(whole & (read.pending.level == dut.config.outstanding_bursts))

    def _direction(self, name: str, channel: str, depth: int, *, answers: Value) -> Direction:
        """Follow a command from where it is taken to the port."""
        dut, axi = self.dut, self.dut.axi
        config, command = dut.config, getattr(dut, f"{name}_cmd")
        longest, shift = config.burst_beats, self._shift
        signals = {
            field: getattr(axi, f"{channel}{field}")
            for field in ("valid", "ready", "id", "addr", "len", "size", "burst", "lock", "cache",
                          "prot", "qos")
        }  # fmt: skip
        payload = Cat(value for field, value in signals.items() if field not in ("valid", "ready"))

        def legal(burst):
            first = (burst.addr >> shift)[: (longest - 1).bit_length()]
            return (burst.beats >= 1) & (first + burst.beats <= longest) & ~burst.addr[:shift].any()

        self.assume(~command.valid | legal(command.p))
        word, shape = Value.cast(command.p), command.p.shape()
        queue = Queue(self, f"{name}_queue", depth=dut.COMMAND_DEPTH, width=len(word))
        pending = Queue(self, f"{name}_pending", depth=depth, width=config.addr_width)
        taken, sent = Signal(name=f"{name}_took"), signals["valid"] & signals["ready"]
        self.m.d.comb += taken.eq(command.valid & command.ready)
        for place in range(dut.COMMAND_DEPTH):
            self.invariant((queue.level <= place) | legal(shape(queue.row(place))))
        self.invariant(queue.level <= pending.level)
        follower = queue.follow(enters=taken, word=word, leaves=sent)
        followed = shape(follower.word)
        within = signals["addr"][: BURST_BOUNDARY_BYTES.bit_length() - 1]
        incrementing = (
            (signals["size"] == shift)
            & (signals["burst"] == BURST_INCR)
            & ~signals["lock"]
            & (within + ((signals["len"] + 1) << shift) <= BURST_BOUNDARY_BYTES)
        )
        waited = Signal(name=f"{name}_waited")
        before = Signal(len(payload), name=f"{name}_before")
        self.m.d.sync += [waited.eq(signals["valid"] & ~signals["ready"]), before.eq(payload)]
        order = (
            (~signals["valid"] | incrementing)
            & (~waited | (signals["valid"] & (payload == before)))
            & (
                ~follower.is_next
                | (
                    signals["valid"]
                    & (signals["addr"] == followed.addr)
                    & (signals["len"] + 1 == followed.beats)
                )
            )
        )
        granted = (queue.level < dut.COMMAND_DEPTH) & (pending.level < depth) & ~dut.flush
        opened = Signal(range(depth + 1), name=f"{name}_open")
        self.m.d.sync += opened.eq(opened + sent - answers)
        self.invariant(opened + queue.level == pending.level)
        return Direction(
            taken=taken,
            queue=queue,
            pending=pending,
            order=order,
            granted=command.ready == granted,
            sent=sent,
            open=opened,
            followed=pending.follow(enters=taken, word=command.p.addr, leaves=answers),
        )

    def _beats(self, write: Direction) -> tuple[Value, Sending]:
        """Follow a command, and a beat of it to the port; return when its last beat leaves."""
        dut, m, axi = self.dut, self.m, self.dut.axi
        longest, given, asked = dut.config.burst_beats, dut.write_data.p, dut.write_cmd.p.beats
        lengths = Queue(self, "lengths", depth=dut.WRITE_BURSTS, width=len(asked))
        beat_number, moves = self.probe.signal("beat_number"), self.probe.signal("moves")
        width = len(Value.cast(given)) + 1
        beats = Queue(self, "beats", depth=dut.COMMAND_DEPTH, width=width)
        sent = axi.wvalid & axi.wready
        complete = Signal(range(dut.WRITE_BURSTS + 1))  # bursts sent, and not answered
        m.d.sync += complete.eq(complete + (sent & axi.wlast) - axi.bvalid)
        self.assume(~axi.bvalid | ((complete != 0) & (write.open != 0)))
        lasts = [(beats.level > place) & beats.row(place)[-1] for place in range(dut.COMMAND_DEPTH)]
        self.invariant(complete <= dut.WRITE_BURSTS)
        self.invariant(write.pending.level == complete + total(lasts) + lengths.level)
        for place in range(dut.WRITE_BURSTS):
            length = lengths.row(place)
            self.invariant((lengths.level <= place) | ((length >= 1) & (length <= longest)))
        self.invariant(Mux(lengths.level == 0, beat_number == 0, beat_number < lengths.row(0)))

        under_way = Signal.like(lengths.level)  # commands whose last beat has not been taken
        ends = moves & self.probe.signal("last")
        m.d.sync += under_way.eq(under_way + write.taken - ends)
        self.invariant(under_way == lengths.level)

        # one command, whose beats begin to move in the cycle in which it is taken if it is alone
        inside, enters, now = Signal(), Signal(), Signal()
        word, number, ahead = Signal.like(asked), Signal(8), Signal.like(lengths.level)
        chosen = self.any_value(1, name="followed_lengths")
        length, at, last = Signal.like(asked), Signal(8), Signal()
        m.d.comb += [
            enters.eq(write.taken & chosen & ~inside),
            now.eq(Mux(inside, ahead == 0, enters & (under_way == 0))),
            length.eq(Mux(inside, word, asked)),
            at.eq(Mux(inside, number, 0)),
            last.eq(at + 1 == length),
        ]
        with m.If(enters):
            m.d.sync += [
                word.eq(asked),
                inside.eq(~(now & moves & last)),
                number.eq(now & moves),
                ahead.eq(under_way - ((under_way != 0) & ends)),
            ]
        with m.Elif(inside & now & moves):
            m.d.sync += [number.eq(number + 1), inside.eq(~last)]
        with m.Elif(inside & ends):
            m.d.sync += ahead.eq(ahead - 1)
        self.invariant(
            ~inside
            | ((ahead < lengths.level) & (lengths.row(ahead) == word) & (number < word)
               & (number == Mux(ahead == 0, beat_number, 0)))
        )  # fmt: skip

        strobe = Mux(dut.flush, 0, given.strobe)
        follower = beats.follow(enters=moves & now, word=Cat(given.data, strobe, last), leaves=sent)
        shown = Cat(axi.wdata, axi.wstrb, axi.wlast)
        self.claim("beats", ~follower.is_next | (axi.wvalid & (shown == follower.word)))
        waited, before = Signal(), Signal(len(shown))
        m.d.sync += [waited.eq(axi.wvalid & ~axi.wready), before.eq(shown)]
        self.claim("held", ~waited | (axi.wvalid & (shown == before)))
        self.claim("after", ~dut.write_data.ready | (lengths.level != 0) | write.taken)
        number = self._numbered(beats, beat_number, sent)
        waits = axi.wvalid | moves | (dut.write_data.ready & ~dut.write_data.valid)
        sending = Sending(sent=sent, waits=waits, number=number, complete=complete)
        return follower.is_next & sent & axi.wlast & (lengths.level > 1), sending

    def _numbered(self, beats: Queue, beat_number: Signal, sent: Value) -> Signal:
        """Return the number in its burst of the beat that the port takes next."""
        axi, longest = self.dut.axi, self.dut.config.burst_beats
        number = Signal(8, name="port_number")
        with self.m.If(sent):
            self.m.d.sync += number.eq(Mux(axi.wlast, 0, number + 1))
        at = number
        for place in range(self.dut.COMMAND_DEPTH):
            there = beats.level > place
            self.invariant(~there | (at < longest))
            after = Signal(8, name=f"number_after{place}")
            self.m.d.comb += after.eq(Mux(there, Mux(beats.row(place)[-1], 0, at + 1), at))
            at = after
        self.invariant(at == beat_number)
        return number

    def _read_answers(self, read: Direction) -> Value:
        """Follow a read burst to its last beat; return whether a beat has an error."""
        dut, m, axi = self.dut, self.m, self.dut.axi
        offset = self.probe.signal("read_offset")
        self.assume(~axi.rvalid | (read.open != 0))
        follower = read.followed
        asked, number = Signal.like(dut.read_cmd.p.beats), Signal(8)
        with m.If(follower.enters):
            m.d.sync += [asked.eq(dut.read_cmd.p.beats), number.eq(0)]
        with m.Elif(follower.is_next & axi.rvalid):
            m.d.sync += number.eq(number + 1)
        self.assume(~(follower.is_next & axi.rvalid) | (axi.rlast == (number + 1 == asked)))
        self.invariant((read.pending.level != 0) | (offset == 0))
        self.invariant(
            ~follower.inside
            | ((number < asked) & (asked <= dut.config.burst_beats)
               & Mux(follower.ahead == 0, offset == number << self._shift, number == 0))
        )  # fmt: skip
        fails = axi.rvalid & axi.rresp.as_value()[1]
        self.claim(
            "read_error",
            self._is_kept(
                "read",
                when=fails & follower.is_next,
                write=0,
                resp=axi.rresp,
                addr=follower.word + (number << self._shift),
            ),
        )
        return fails

    def _write_answers(self, write: Direction, reads_error: Value) -> None:
        """Follow a written burst to its answer."""
        axi = self.dut.axi
        follower = write.followed
        self.claim(
            "write_error",
            self._is_kept(
                "write",
                when=axi.bvalid & axi.bresp.as_value()[1] & ~reads_error & follower.is_next,
                write=1,
                resp=axi.bresp,
                addr=follower.word,
            ),
        )

    def _is_kept(self, name: str, *, when: Value, write: int, resp: Value, addr: Value) -> Value:
        """Return whether an error that is the first one is there a cycle later."""
        dut, m = self.dut, self.m
        arose = Signal(name=f"{name}_arose")
        was = Signal(2, name=f"{name}_resp")
        place = Signal(dut.config.addr_width, name=f"{name}_place")
        m.d.sync += [
            arose.eq(when & ~dut.flush & ~dut.forget & ~dut.error),
            was.eq(Value.cast(resp)),
            place.eq(addr),
        ]
        return ~arose | (
            dut.error
            & (dut.error_write == write)
            & (dut.error_resp.as_value() == was)
            & (dut.error_addr == place)
        )

    def _kept(self) -> None:
        """State that an error stays, and that there is none without an answer that has one."""
        dut, m, axi = self.dut, self.m, self.dut.axi
        found = Cat(dut.error, dut.error_write, dut.error_resp.as_value(), dut.error_addr)
        kept, quiet, before = Signal(), Signal(init=1), Signal(len(found))
        fails = Cat(axi.rvalid & axi.rresp.as_value()[1], axi.bvalid & axi.bresp.as_value()[1])
        m.d.sync += [
            kept.eq(dut.error & ~dut.forget),
            quiet.eq(dut.forget | (~dut.error & (dut.flush | ~fails.any()))),
            before.eq(found),
        ]
        none = ~dut.error & ~dut.error_write & (dut.error_resp == Response.OKAY)
        self.invariant(dut.error | none)
        self.claim("kept", (~kept | (found == before)) & (~quiet | none))
