"""Results leave in bursts within their bounds, each row at its address, and nothing else."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Mux, Signal, Value

from formal.checker import Checker, Queue, Ring
from formal.port.pieces import beat_bits, within_burst
from gscn.hw.cluster.result_writer import RESULT_SLOTS, ResultWriter
from gscn.hw.layouts import write_slots


def strobed(data: Value, slots: Value) -> Value:
    """Return the data of a beat, zero where no slot is strobed, and above it the slots."""
    width = len(data) // len(slots)
    return Cat(
        *(Mux(slot, data.word_select(n, width), 0) for n, slot in enumerate(slots)),
        slots,
    )


class PackedQueue(Ring):
    """The queue of a `ResultWriter`, seen by its checker.

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
        probe = checker.probe
        super().__init__(
            checker,
            name="beats",
            rows=depth + 1,
            most=depth,
            level=probe.signal("level"),
            produce=probe.signal("produce"),
            consume=probe.signal("consume"),
            read=lambda addr, name: strobed(
                probe.row("beats", addr, width, name=f"{name}_data"),
                probe.row("strobes", addr, slots, name=f"{name}_slots"),
            ),
        )
        self._begun = probe.signal("begun")

    def keeps_in_work(self, word: Value, *, began: Value) -> None:
        """State that the row that is being put together holds `word` once it has been begun."""
        self._checker.invariant((self._begun == began) & (~began | (self.next_row() == word)))
        self._checker.invariant(began | (word == 0))


class ResultWriterChecker(Checker):
    """Put beats together beside the component; count those queued, promised and handed on.

    Assumed: the format of the results stays, and is one of integers; the address of a row is a
    multiple of what the row takes; a row that is not a job's first says of its beat how it lies to
    that of the row before; a beat is taken only after its command.
    """

    CLAIMS = {
        "held_command": "`command` is held, its payload unchanged, until it is taken",
        "held_beat": "`o` is held, its payload unchanged, until it is taken",
        "burst": "a burst has 1 to `burst_beats` beats and crosses no multiple of that",
        "content": "the beats leave in order, each as its rows wrote it, strobed where one did",
        "address": "a burst has, beat by beat, the addresses of the rows that were put together",
        "queued": "all beats of a burst are queued when its command is offered",
        "empty": "`empty` is high exactly if every beat has been handed on",
        "taken": "a row is accepted, unless the queue is full or the row before it ends a job",
    }

    BOUNDED = {"burst": 10, "address": 9, "queued": 10}

    dut: ResultWriter

    def describe(self) -> None:
        """State what is put together and what of it is queued."""
        dut, m, config = self.dut, self.m, self.dut.config
        low, depth = beat_bits(config), 2 * config.burst_beats
        slots = write_slots(config)
        issued = dut.command.valid & dut.command.ready
        leaves = dut.o.valid & dut.o.ready
        stored, promised = Signal(range(depth + 1)), Signal(range(4 * depth))

        # -- the beat that is put together: a row of another place, or the end of a job, ends it
        began, flushes = Signal(), Signal()
        place = Signal(config.addr_width - low)
        other, takes, enters = Signal(), Signal(), Signal()
        m.d.comb += [
            other.eq(began & (dut.i.p.addr[low:] != place)),
            takes.eq(dut.i.valid & dut.i.ready),
            enters.eq((takes & other) | (flushes & began & (stored < depth))),
        ]
        block = config.burst_beats.bit_length() - 1
        here, near = dut.i.p.addr[low:], dut.i.p.addr[low + block :] == place[block:]
        self.assume(~began | (dut.i.p.turns == (here != place)))
        self.assume(~began | (dut.i.p.follows == (near & (here == (place + 1)[: len(place)]))))
        with m.If(takes):
            m.d.sync += [began.eq(1), place.eq(dut.i.p.addr[low:]), flushes.eq(dut.i.p.last)]
        with m.Elif(enters):
            m.d.sync += began.eq(0)
        with m.Elif(~began):
            m.d.sync += flushes.eq(0)
        m.d.sync += [
            stored.eq(stored + enters - leaves),
            promised.eq(promised + Mux(issued, dut.command.p.beats, 0) - leaves),
        ]
        self.assume(~dut.o.ready | (promised != 0))
        whole = self._put_together(slots, takes, enters, ~began | other)

        Queue(self, "commands", depth=depth, width=len(dut.command.p.as_value()))
        queue = PackedQueue(self, depth=depth, slots=slots, width=config.mem_width)
        follower = queue.follow(enters=enters, word=whole, leaves=leaves)
        queue.keeps_in_work(whole, began=began)
        self.claim("held_command", self.held(dut.command, name="command"))
        self.claim("held_beat", self.held(dut.o, name="o"))
        self.claim("burst", ~dut.command.valid | within_burst(config, dut.command))
        given = strobed(dut.o.p.data, dut.o.p.slots)
        self.claim("content", ~follower.is_next | (dut.o.valid & (given == follower.word)))
        self.claim("queued", ~dut.command.valid | (promised + dut.command.p.beats <= stored))
        self.claim("empty", dut.empty == ((stored == 0) & ~began))
        self.claim("taken", dut.i.ready == (~flushes & (stored < depth)))
        self._claim_addresses(enters, place, issued, depth)
        self.invariant(queue.level == stored)
        self.invariant(~began | (self.probe.signal("open_place") == place))
        self.invariant(self.probe.signal("flushing") == flushes)
        self.invariant(self.probe.signal("full") == (stored == depth))
        self.invariant(self.probe.signal("room") == (~flushes & (stored < depth)))
        self.reach(follower.is_next & leaves & (promised == 2))

    def _put_together(self, slots: int, takes: Value, enters: Value, fresh: Value) -> Value:
        """Return the beat that is put together: zero where no row has written, and above it slots.

        A row that is taken begins it if `fresh`; it ends as it `enters` the queue.
        """
        dut, m, config = self.dut, self.m, self.dut.config
        slot_bits = config.mem_width // slots
        formats = list(RESULT_SLOTS.items())
        chosen = self.any_constant(2, name="format")
        self.assume(Array(one == dut.out_format for one, _ in [*formats, formats[0]])[chosen])
        at = dut.i.p.addr[(slot_bits // 8).bit_length() - 1 :][: (slots - 1).bit_length()]
        taken = Signal(3)
        self.assume(dut.i.p.addr % (slot_bits // 8) == 0)
        self.assume((at & (taken - 1)[: len(at)]) == 0)
        rows = []
        for one, count in formats:
            with m.If(dut.out_format == one):
                m.d.comb += taken.eq(count)
            rows.append(Cat(result[: 16 * count] for result in dut.i.p.results))
        beat = [Signal(slot_bits, name=f"beat{slot}") for slot in range(slots)]
        written = Signal(slots)
        for slot, register in enumerate(beat):
            inside = Signal(name=f"inside{slot}")
            now = Signal(slot_bits, name=f"now{slot}")
            m.d.comb += inside.eq((at <= slot) & (slot < at + taken))
            for (one, count), row in zip(formats, rows, strict=True):
                with m.If(dut.out_format == one):
                    m.d.comb += now.eq(row.word_select(slot % count, slot_bits))
            with m.If(takes & inside):
                m.d.sync += [register.eq(now), written[slot].eq(1)]
            with m.Elif((takes & fresh) | enters):
                m.d.sync += [register.eq(0), written[slot].eq(0)]
        return Cat(*beat, written)

    def _claim_addresses(self, enters: Value, place: Value, issued: Value, depth: int) -> None:
        """Follow one beat until the command that it belongs to, among those that entered."""
        dut, m, low = self.dut, self.m, beat_bits(self.dut.config)
        waiting = Signal(range(2 * depth + 2))  # beats entered and not yet asked for
        chosen, follows = self.any_value(1, name="address_chosen"), Signal()
        before, where = Signal.like(waiting), Signal(len(place))
        beats = Mux(issued, dut.command.p.beats, 0)
        m.d.sync += waiting.eq(waiting + enters - beats)
        with m.If(enters & chosen & ~follows):
            m.d.sync += [follows.eq(1), where.eq(place), before.eq(waiting - beats)]
        with m.Elif(follows & issued):
            m.d.sync += before.eq(before - beats)
            with m.If(before < beats):
                m.d.sync += follows.eq(0)
        asked = (dut.command.p.addr >> low) + before
        self.claim(
            "address",
            ~(follows & dut.command.valid & (before < dut.command.p.beats))
            | ((asked[: len(where)] == where) & (dut.command.p.addr[:low] == 0)),
        )
