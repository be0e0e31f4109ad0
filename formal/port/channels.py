"""Memory channels: bursts stay within their bounds and never ask for what cannot be taken."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker, Follower, Queue
from formal.port.arbiter import total
from gscn.config import CHUNK_WIDTH
from gscn.hw.layouts import write_slots
from gscn.hw.port.reader import ChunkReader
from gscn.hw.port.writer import BurstWriter

LONGEST_REQUEST = 255
"""Chunks of the longest request for which chunks and beats are added up."""


def beat_bits(config) -> int:
    """Return how many low bits of a byte address lie within a beat."""
    return (config.mem_bytes - 1).bit_length()


def within_burst(config, command) -> Value:
    """Return whether a burst has 1 to `burst_beats` beats and crosses no multiple of that."""
    low = beat_bits(config)
    first = command.p.addr[low : low + config.burst_beats.bit_length() - 1]
    return (command.p.beats != 0) & (first + command.p.beats <= config.burst_beats)


class ChunkReaderChecker(Checker):
    """Count beats asked for, arrived and consumed, and chunks handed on.

    Assumed: request addresses are multiples of the beat; memory sends no more beats than it was
    asked for, in a cycle after the command.
    """

    CLAIMS = {
        "held_command": "`command` is held, its payload unchanged, until it is taken",
        "held_chunk": "`o` is held, its payload unchanged, until it is taken",
        "burst": "a burst has 1 to `burst_beats` beats and crosses no multiple of that",
        "range": "the bursts of a request ask, in order, for its beats and for no other",
        "room": "beats asked for and not consumed never exceed the buffer; none is dropped",
        "content": "the chunks are those of the beats, in order, from the lowest",
        "urgent": "a burst is urgent exactly if the buffer has its request's `urgent_room`",
        "sharers": "`sharers` is that of the burst's request",
        "amount": f"no chunk unasked for, no beat left over (requests to {LONGEST_REQUEST} chunks)",
    }

    BOUNDED = {"amount": 10}

    dut: ChunkReader

    def describe(self) -> None:
        """State how requests, bursts, beats and chunks add up."""
        dut, m, probe, config = self.dut, self.m, self.probe, self.dut.config
        per_beat, depth = config.chunks_per_beat, config.read_fifo_beats
        beat_shift = per_beat.bit_length() - 1
        low = beat_bits(config)
        request, command = dut.request, dut.command
        self.assume(request.p.addr[:low] == 0)
        accepted = request.valid & request.ready
        issued = command.valid & command.ready
        moves = dut.o.valid & dut.o.ready

        next_addr, to_ask, urgent_room, sharers = self._follow_request(accepted, issued)
        in_flight = Signal(range(depth + 1))
        m.d.sync += in_flight.eq(in_flight + Mux(issued, command.p.beats, 0) - dut.data_valid)
        self.assume(~dut.data_valid | (in_flight != 0))

        lengths = Queue(self, "lengths", depth=dut.REQUEST_DEPTH, width=32)
        beats = Queue(self, "beats", depth=depth, width=config.mem_width)
        head = lengths.row(0)
        taken = Signal(32)  # chunks of the request at the head that have been handed on
        last = taken + 1 == head
        position = taken[:beat_shift]
        leaves = Signal()
        m.d.comb += leaves.eq(moves & (last | (position == per_beat - 1)))
        with m.If(moves):
            m.d.sync += taken.eq(Mux(last, 0, taken + 1))
        follower = beats.follow(enters=dut.data_valid, word=dut.data, leaves=leaves)
        owed = Signal(36)  # chunks requested and not handed on
        m.d.sync += owed.eq(owed + Mux(accepted, request.p.chunks, 0) - moves)

        self.claim("held_command", self.held(command, name="command"))
        self.claim("held_chunk", self.held(dut.o, name="o"))
        self.claim("burst", ~command.valid | within_burst(config, command))
        self.claim(
            "range",
            (~command.valid | ((command.p.addr == next_addr) & (command.p.beats <= to_ask)))
            & (~accepted | (to_ask == 0)),
        )
        self.claim(
            "room",
            (in_flight + beats.level <= depth) & (~dut.data_valid | (beats.level < depth)),
        )
        self.claim(
            "content",
            ~(follower.is_next & dut.o.valid)
            | (dut.o.p == follower.word.word_select(position, CHUNK_WIDTH)),
        )
        self.claim(
            "urgent",
            ~command.valid | (dut.urgent == (in_flight + beats.level + urgent_room <= depth)),
        )
        self.claim("sharers", ~command.valid | (dut.sharers == sharers))
        self.claim(
            "amount",
            (~dut.o.valid | (owed != 0))
            & ((owed != 0) | ((beats.level == 0) & (in_flight == 0) & (to_ask == 0)))
            & ((beats.level == 0) | dut.o.valid),
        )

        self.invariant(probe.signal("beat_addr") == next_addr[low:])
        self.invariant(probe.signal("whole") + probe.signal("partial") == to_ask)
        self.invariant(next_addr[:low] == 0)
        self.invariant(probe.signal("taken") == taken)
        self.invariant(probe.signal("urgent_room") == urgent_room)
        self.invariant(probe.signal("named_sharers") == sharers)
        self.invariant(in_flight + beats.level + probe.signal("room") == depth)
        held = taken[beat_shift:], to_ask, in_flight, beats.level
        self._add_up(lengths, head, taken, owed, held)
        self.reach(follower.is_next & moves & last & (lengths.level == 2))

    def _follow_request(self, accepted: Value, issued: Value) -> tuple[Signal, ...]:
        """Return where the request under way goes on, beats to ask for, and what it names."""
        dut, m = self.dut, self.m
        request, command = dut.request, dut.command
        per_beat, low = dut.config.chunks_per_beat, beat_bits(dut.config)
        beat_shift = per_beat.bit_length() - 1
        next_addr, to_ask = Signal(dut.config.addr_width), Signal(32)
        urgent_room = Signal.like(request.p.urgent_room)
        sharers = Signal.like(request.p.sharers)
        with m.If(accepted):
            m.d.sync += [
                next_addr.eq(request.p.addr),
                to_ask.eq((request.p.chunks + (per_beat - 1)) >> beat_shift),
                urgent_room.eq(request.p.urgent_room),
                sharers.eq(request.p.sharers),
            ]
        with m.Elif(issued):
            m.d.sync += [
                next_addr.eq(next_addr + (command.p.beats << low)),
                to_ask.eq(to_ask - command.p.beats),
            ]
        return next_addr, to_ask, urgent_room, sharers

    def _add_up(
        self, lengths: Queue, head: Value, taken: Value, owed: Value, held: tuple[Value, ...]
    ) -> None:
        """State that chunks and beats of the requests queued add up.

        Sums of 32-bit lengths are beyond the solver; all that is added up is a few bits wide.

        Parameters
        ----------
        lengths, head
            Chunks of the requests, and of the one under way.
        taken, owed
            Chunks of it that were handed on; chunks of all that were not.
        held
            Beats of the requests: handed on, to be asked for, asked for, there.
        """
        dut, m = self.dut, self.m
        per_beat = dut.config.chunks_per_beat
        beat_shift = per_beat.bit_length() - 1
        passed, to_ask, in_flight, stored = held
        self.assume(dut.request.p.chunks <= LONGEST_REQUEST, only="amount")
        bits = LONGEST_REQUEST.bit_length()
        rows = [lengths.row(place) for place in range(dut.REQUEST_DEPTH)]
        for place, row in enumerate(rows):
            self.invariant(
                (lengths.level <= place) | ((row != 0) & (row <= LONGEST_REQUEST)), only="amount"
            )
        chunks = [Mux(lengths.level > place, row[:bits], 0) for place, row in enumerate(rows)]
        needed = [(length + (per_beat - 1)) >> beat_shift for length in chunks]
        self.invariant(Mux(lengths.level == 0, taken == 0, taken < head), only="amount")
        self.invariant(total(chunks) == owed[: bits + 3] + taken[:bits], only="amount")
        self.invariant(owed < 1 << (bits + 3), only="amount")
        newest = Signal(bits + 1)
        for place, length in enumerate(needed):
            with m.If(lengths.level == place + 1):
                m.d.comb += newest.eq(length)
        self.invariant(to_ask <= newest, only="amount")
        self.invariant(
            total(needed) == passed[: bits - beat_shift] + to_ask[:bits] + in_flight + stored,
            only="amount",
        )


def strobed(data: Value, slots: Value) -> Value:
    """Return the data of a beat, zero where no slot is strobed, and above it the slots."""
    width = len(data) // len(slots)
    return Cat(
        *(Mux(slot, data.word_select(n, width), 0) for n, slot in enumerate(slots)),
        slots,
    )


class PackedQueue:
    """The queue of a `BurstWriter`, seen by its checker.

    Parameters
    ----------
    checker
        Receives the invariants of the queue's pointers.
    depth
        Complete beats that it holds; the row after them is being put together.
    slots
        Slots of a beat.
    width
        Bits of a beat.
    """

    def __init__(self, checker: Checker, *, depth: int, slots: int, width: int) -> None:
        self._checker, self._depth, self._slots, self._width = checker, depth, slots, width
        probe = checker.probe
        self.level = probe.signal("level")
        self._produce = probe.signal("produce")
        self._consume = probe.signal("consume")
        self._begun = probe.signal("begun")
        checker.invariant(
            (self._produce <= depth)
            & (self._consume <= depth)
            & (self.level <= depth)
            & (self._produce == self._wrapped(self._consume + self.level))
        )

    def _wrapped(self, position: Value) -> Value:
        return Mux(position > self._depth, position - (self._depth + 1), position)

    def _row(self, position: Value, name: str) -> Value:
        addr = Signal(self._depth.bit_length(), name=f"{name}_addr")
        self._checker.m.d.comb += addr.eq(position)
        probe = self._checker.probe
        return strobed(
            probe.row("beats", addr, self._width, name=f"{name}_data"),
            probe.row("strobes", addr, self._slots, name=f"{name}_slots"),
        )

    def follow(self, *, enters: Value, word: Value, leaves: Value) -> Follower:
        """Return a follower of one beat, as `strobed` gives it; see `Queue.follow`."""
        follower = Follower(
            self._checker, name="beats", enters=enters, word=word, ahead=self.level, leaves=leaves
        )
        row = self._row(self._wrapped(self._consume + follower.ahead), "followed")
        self._checker.invariant(
            ~follower.inside | ((follower.ahead < self.level) & (row == follower.word))
        )
        return follower

    def keeps_in_work(self, word: Value, *, began: Value) -> None:
        """State that the row that is being put together holds `word` once it has been begun."""
        row = self._row(self._produce, "in_work")
        self._checker.invariant((self._begun == began) & (~began | (row == word)))
        self._checker.invariant(began | (word == 0))


class BurstWriterChecker(Checker):
    """Put beats together beside the component; count those queued, promised and handed on.

    Assumed: `start` comes only while `empty`, with a multiple of the beat; while `flush` is high no
    part comes, and it stays high until `empty`; a beat is taken only after its command.
    """

    CLAIMS = {
        "held_command": "`command` is held, its payload unchanged, until it is taken",
        "held_beat": "`o` is held, its payload unchanged, until it is taken",
        "burst": "a burst has 1 to `burst_beats` beats and crosses no multiple of that",
        "queued": "all beats of a burst are queued when its command is offered",
        "address": "bursts follow each other without gap from `start_addr` on",
        "content": "the beats leave in order, each as its parts wrote it, strobed where one did",
        "empty": "`empty` is high exactly if every beat has been handed on",
        "flow": "with `flush`, and at a full burst, a command is offered for what is queued",
        "taken": "a part is accepted, unless it ends a beat and the queue is full",
    }

    dut: BurstWriter

    def describe(self) -> None:
        """State that what is promised is queued."""
        dut, m, probe, config = self.dut, self.m, self.probe, self.dut.config
        low, longest = beat_bits(config), config.burst_beats
        issued = dut.command.valid & dut.command.ready
        writes = dut.i.valid & dut.i.ready
        enters, leaves = writes & dut.i.p.ends, dut.o.valid & dut.o.ready
        bound = 2 * longest
        stored, promised = Signal(range(bound + 1)), Signal(range(bound + 1))
        next_addr = Signal(config.addr_width)
        m.d.sync += [
            stored.eq(stored + enters - leaves),
            promised.eq(promised + Mux(issued, dut.command.p.beats, 0) - leaves),
        ]
        with m.If(dut.start):
            m.d.sync += next_addr.eq(dut.start_addr)
        with m.Elif(issued):
            m.d.sync += next_addr.eq(next_addr + (dut.command.p.beats << low))
        self.assume(~dut.start | (dut.empty & (dut.start_addr[:low] == 0)))
        self.assume(~dut.flush | ~dut.i.valid)
        flushing = Signal()
        m.d.sync += flushing.eq(dut.flush & ~dut.empty)
        self.assume(~flushing | dut.flush)
        self.assume(~dut.o.ready | (promised != 0))

        slots = write_slots(config)
        slot_width = config.mem_width // slots
        began, written = Signal(), Signal(slots)
        beat = [Signal(slot_width, name=f"beat{slot}") for slot in range(slots)]
        after, strobe = [], Signal(slots)
        for slot, register in enumerate(beat):
            now = Mux(dut.i.p.slots[slot], dut.i.p.data[slot % 4], register)
            # what is not strobed is not compared, and counts as zero here
            after.append(Mux(strobe[slot], now, 0))
            with m.If(writes):
                m.d.sync += register.eq(Mux(dut.i.p.ends, 0, after[-1]))
        m.d.comb += strobe.eq(written | dut.i.p.slots)
        with m.If(writes):
            m.d.sync += [began.eq(~dut.i.p.ends), written.eq(Mux(dut.i.p.ends, 0, strobe))]

        queue = PackedQueue(self, depth=bound, slots=slots, width=config.mem_width)
        follower = queue.follow(enters=enters, word=Cat(after, strobe), leaves=leaves)
        queue.keeps_in_work(Cat(beat, written), began=began)
        self.claim("held_command", self.held(dut.command, name="command"))
        self.claim("held_beat", self.held(dut.o, name="o"))
        self.claim("burst", ~dut.command.valid | within_burst(config, dut.command))
        self.claim(
            "queued",
            (promised <= stored)
            & (~dut.command.valid | (dut.command.p.beats <= stored - promised)),
        )
        self.claim("address", ~dut.command.valid | (dut.command.p.addr == next_addr))
        given = strobed(dut.o.p.data, dut.o.p.slots)
        self.claim("content", ~follower.is_next | (dut.o.valid & (given == follower.word)))
        self.claim("empty", dut.empty == (stored == 0))
        self.claim("taken", dut.i.ready == (~dut.i.p.ends | (stored < bound)))
        free = stored - promised
        self.claim(
            "flow",
            dut.command.valid | ((free < longest) & (~dut.flush | (free == 0))),
        )
        self.invariant(queue.level == stored)
        self.invariant((probe.signal("available") + promised == stored) & (promised <= stored))
        self.invariant((probe.signal("beat_addr") == next_addr[low:]) & (next_addr[:low] == 0))
        self.reach(dut.flush & issued & (dut.command.p.beats == 1) & (promised == 1))
