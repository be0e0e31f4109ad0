"""Arbiters: commands are taken in bounded time, and beats go where they belong."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from formal.checker import Checker, Follower, Queue, total
from formal.port.turns import bounded_wait
from gscn.hw.port.arbiter import ReadArbiter, WriteArbiter
from gscn.port import ALIGNMENT_BITS


def taken_from(m: Module, streams: list, *, name: str) -> tuple[Signal, Signal, Signal]:
    """Return how many streams are taken from, the number of one of them, and its word."""
    count = Signal(range(len(streams) + 1), name=f"{name}_taken")
    number = Signal(range(len(streams)), name=f"{name}_number")
    word = Signal(len(Value.cast(streams[0].p)), name=f"{name}_word")
    m.d.comb += count.eq(total([s.valid & s.ready for s in streams]))
    for position, candidate in enumerate(streams):
        with m.If(candidate.valid & candidate.ready):
            m.d.comb += [number.eq(position), word.eq(Value.cast(candidate.p))]
    return count, number, word


@dataclass(frozen=True, kw_only=True, slots=True)
class _Deal:
    """What a `ReadArbiter` takes, and to whom it owes beats."""

    taken: Signal
    """Channels taken from in this cycle."""
    takers: Value
    """Which ones."""
    beats: Value
    """Of the command taken."""
    owners: Queue
    shared_by: list[Value]
    """Channels of each place in `owners`."""
    lengths: list[Value]
    """Beats of each place, 0 of an empty one."""
    beat: Signal
    """Beats dealt of the first place."""
    bound: int
    """Most beats of all places."""


class ReadArbiterChecker(Checker):
    """Follow one command, any of them, until its last beat is dealt.

    Assumed: commands are of 1 to `burst_beats` beats; channels hold their commands until taken;
    memory sends no more beats than it was asked for, in a cycle after the command.
    """

    CLAIMS = {
        "one": "commands taken in one cycle are the same burst, and every beat goes to a channel",
        "order": "commands reach memory unchanged, in the order in which they were taken",
        "owner": "a beat is dealt to just the channels of the oldest command with beats to come",
        "amount": "a channel is never dealt more beats than it asked for",
        "held": "`command` is held, its payload unchanged, until it is taken",
        "flow": "a command is taken in every cycle in which one is offered, fewer than "
        "`COMMAND_DEPTH` wait for memory and fewer than `outstanding_bursts` have beats to come",
        "wait": "a channel sees at most `count` - 1 commands of others taken before its own",
    }

    dut: ReadArbiter

    def describe(self) -> None:
        """State what the queue of owners says about the beats to come."""
        dut, m, probe = self.dut, self.m, self.probe
        count, config = len(dut.channels), dut.config
        longest, depth = config.burst_beats, config.outstanding_bursts
        self._assume_channels(longest)
        taken, _, word = taken_from(m, dut.channels, name="channel")
        takers = Cat(channel.valid & channel.ready for channel in dut.channels)
        beats = dut.command.p.shape()(word).beats
        sent = dut.command.valid & dut.command.ready
        bound = depth * longest
        due = Signal(range(bound + 1))  # beats that memory was asked for and has not sent
        m.d.sync += due.eq(due + Mux(sent, dut.command.p.beats, 0) - dut.data_valid)
        self.assume(~dut.data_valid | (due != 0))

        owners = Queue(self, "owners", depth=depth, width=count + 8)
        commands = Queue(self, "commands", depth=dut.COMMAND_DEPTH, width=len(word))
        beat = probe.signal("beat")
        rows = [owners.row(place) for place in range(depth)]
        shared_by = [row[:count] for row in rows]
        lengths = [Mux(owners.level > place, row[count:], 0) for place, row in enumerate(rows)]
        pending = [
            Mux(commands.level > place, dut.command.p.shape()(commands.row(place)).beats, 0)
            for place in range(dut.COMMAND_DEPTH)
        ]
        for place in range(depth):
            self.invariant(
                (owners.level <= place)
                | ((lengths[place] >= 1) & (lengths[place] <= longest) & shared_by[place].any())
            )
        self.invariant(Mux(owners.level == 0, beat == 0, beat < lengths[0]))
        self.invariant(total(lengths) == due + total(pending) + beat)

        follower = commands.follow(enters=taken != 0, word=word, leaves=sent)
        self.claim(
            "order",
            (sent <= (commands.level != 0))
            & (
                ~follower.is_next
                | (dut.command.valid & (Value.cast(dut.command.p) == follower.word))
            ),
        )
        alike = [
            ~(channel.valid & channel.ready) | (Value.cast(channel.p) == word)
            for channel in dut.channels
        ]
        self.claim("one", Cat(alike).all() & (dut.channel_valid.any() == dut.data_valid))
        self.claim("held", self.held(dut.command, name="command"))
        offers = Cat(channel.valid for channel in dut.channels).any()
        room = (commands.level < dut.COMMAND_DEPTH) & (owners.level < depth)
        self.claim("flow", (taken != 0) == (offers & room))
        self.claim("wait", bounded_wait(self, list(dut.channels), taken != 0))
        deal = _Deal(
            taken=taken,
            takers=takers,
            beats=beats,
            owners=owners,
            shared_by=shared_by,
            lengths=lengths,
            beat=beat,
            bound=bound,
        )
        ends = self._follow_one(deal, longest)
        self._watch_channel(deal)
        self.reach(ends & (owners.level >= min(depth, 3)))

    def _assume_channels(self, longest: int) -> None:
        """Assume that commands are of legal length, and held."""
        for number, channel in enumerate(self.dut.channels):
            self.assume(~channel.valid | ((channel.p.beats >= 1) & (channel.p.beats <= longest)))
            self.assume(self.held(channel, name=f"channel{number}"))

    def _follow_one(self, deal: _Deal, longest: int) -> Value:
        """Follow one command until its last beat; return whether that is dealt."""
        dut, m = self.dut, self.m
        count, owners, lengths, beats = len(deal.takers), deal.owners, deal.lengths, deal.beats
        pops = dut.data_valid & (deal.beat + 1 == lengths[0])
        owner = Follower(
            self,
            name="owner",
            enters=deal.taken != 0,
            word=Cat(deal.takers, beats),
            ahead=owners.level,
            leaves=pops,
        )
        before = Signal(range(deal.bound + 1))  # beats that come before its own
        left = Signal(range(longest + 1))  # its own beats to come
        to_come = Signal(range(deal.bound + 1))  # beats of all commands taken
        m.d.sync += to_come.eq(to_come + Mux(deal.taken != 0, beats, 0) - dut.data_valid)
        active = Signal()
        with m.If(owner.enters):
            m.d.sync += [active.eq(1), left.eq(beats), before.eq(to_come - dut.data_valid)]
        with m.Elif(dut.data_valid & active):
            with m.If(before != 0):
                m.d.sync += before.eq(before - 1)
            with m.Else():
                m.d.sync += left.eq(left - 1)
                with m.If(left == 1):
                    m.d.sync += active.eq(0)
        self.claim(
            "owner",
            ~(active & dut.data_valid & (before == 0)) | (dut.channel_valid == owner.word[:count]),
        )
        place_rows = owners.row(owner.ahead)
        self.invariant(active == owner.inside)
        self.invariant(to_come + deal.beat == total(lengths))
        self.invariant(
            ~active | ((owner.ahead < owners.level) & (place_rows == owner.word) & (left != 0))
        )
        ahead = total([Mux(owner.ahead > place, length, 0) for place, length in enumerate(lengths)])
        own = owner.word[count:]
        self.invariant(
            ~active
            | Mux(
                owner.ahead == 0,
                (before == 0) & (left + deal.beat == own),
                (before + deal.beat == ahead) & (left == own),
            )
        )
        return active & dut.data_valid & (before == 0) & (left == 1)

    def _watch_channel(self, deal: _Deal) -> None:
        """State what one channel, any of them, asked for and has not been dealt."""
        count = len(deal.takers)
        watched = self.any_constant((count - 1).bit_length(), name="channel")
        self.assume(watched < count)
        asked = Signal(range(deal.bound + 1))
        gets = self.dut.channel_valid.bit_select(watched, 1)
        takes = deal.takers.bit_select(watched, 1)
        self.m.d.sync += asked.eq(asked + Mux(takes, deal.beats, 0) - gets)
        self.claim("amount", ~gets | (asked != 0))
        shares = [
            Mux(mask.bit_select(watched, 1), length, 0)
            for mask, length in zip(deal.shared_by, deal.lengths, strict=True)
        ]
        shares_first = deal.shared_by[0].bit_select(watched, 1) & (deal.owners.level != 0)
        first = Mux(shares_first, deal.beat, 0)
        self.invariant(asked + first == total(shares))


class WriteArbiterChecker(Checker):
    """Watch which channel owns the beats that go to memory.

    Assumed: commands are of 1 to `burst_beats` beats, aligned to them, and do not cross a multiple
    of `burst_beats`; the range that may be written does not change; channels hold their commands
    and beats until taken.
    """

    CLAIMS = {
        "together": "beats are taken from one channel until its burst is complete",
        "owner": "a beat to memory is the next of the channel whose command was issued last",
        "order": "commands reach memory unchanged, in the order in which they were issued",
        "issued": "`issued` is high exactly if one command is taken",
        "held_command": "`command` is held, its payload unchanged, until it is taken",
        "held_data": "`data` is held, its payload unchanged, until it is taken",
        "inside": "no command leaves that names a byte outside the range",
        "refused": "a channel is refused only if the burst that it offers is outside the range",
        "flow": "a command is taken in every cycle in which one is offered, none is refused, fewer "
        "than `COMMAND_DEPTH` wait for memory, and no beat but the one that leaves is to come",
        "wait": "a channel sees at most `count` - 1 commands of others taken before its own",
    }

    dut: WriteArbiter

    def describe(self) -> None:
        """State that one burst is under way at a time."""
        dut, m, probe = self.dut, self.m, self.probe
        longest = dut.config.burst_beats
        beat_bits = (dut.config.mem_bytes - 1).bit_length()
        # of the range in bytes, each end once
        start = self.any_constant(len(dut.range_start), name="range_start")
        end = self.any_constant(len(dut.range_end), name="range_end")
        self.assume((dut.range_start == start) & (dut.range_end == end))

        def inside(command):
            after = command.addr + (command.beats << beat_bits)
            return (command.addr >= start << ALIGNMENT_BITS) & (after <= end << ALIGNMENT_BITS)

        for number, (command, beat) in enumerate(zip(dut.commands, dut.beats, strict=True)):
            self.assume(~command.valid | ((command.p.beats >= 1) & (command.p.beats <= longest)))
            first = (command.p.addr >> beat_bits)[: (longest - 1).bit_length()]
            self.assume(~command.valid | (first + command.p.beats <= longest))
            self.assume(~command.valid | ~command.p.addr[:beat_bits].any())
            self.assume(self.held(command, name=f"command{number}"))
            self.assume(self.held(beat, name=f"beat{number}"))
        taken, number, word = taken_from(m, dut.commands, name="command")
        beats_taken, giver, beat = taken_from(m, dut.beats, name="beat")
        given = dut.beats[0].p.shape()(beat)
        bytes_per_slot = dut.config.mem_bytes // len(given.slots)
        strobed_beat = Cat(given.data, *(slot.replicate(bytes_per_slot) for slot in given.slots))
        current, left = Signal.like(number), Signal(range(longest + 1))
        leaves = dut.data.valid & dut.data.ready
        with m.If(taken != 0):
            m.d.sync += [current.eq(number), left.eq(dut.command.p.shape()(word).beats)]
        with m.Elif(leaves):
            m.d.sync += left.eq(left - 1)

        self.claim(
            "together",
            ((beats_taken == 0) | ((beats_taken == 1) & (giver == current) & (left != 0)))
            & ((taken == 0) | (left == 0) | ((left == 1) & leaves)),
        )
        self.claim(
            "owner",
            (beats_taken == leaves)
            & (
                ~leaves
                | ((giver == current) & (Value.cast(dut.data.p) == strobed_beat) & (left != 0))
            ),
        )
        self.claim("issued", taken == dut.issued)
        queue = Queue(self, "queue", depth=dut.COMMAND_DEPTH, width=len(word))
        sent = dut.command.valid & dut.command.ready
        follower = queue.follow(enters=taken != 0, word=word, leaves=sent)
        self.claim(
            "order",
            ~follower.is_next | (dut.command.valid & (Value.cast(dut.command.p) == follower.word)),
        )
        self.claim("held_command", self.held(dut.command, name="o_command"))
        self.claim("held_data", self.held(dut.data, name="o_data"))
        followed = dut.command.p.shape()(follower.word)
        self.claim("inside", ~follower.is_next | inside(dut.command.p))
        self.invariant(~follower.inside | inside(followed))
        refused = [
            ~dut.refused[number] | (command.valid & ~inside(command.p))
            for number, command in enumerate(dut.commands)
        ]
        self.claim("refused", Cat(refused).all())
        offers = Cat(command.valid for command in dut.commands).any() & ~dut.refused.any()
        free = (queue.level < dut.COMMAND_DEPTH) & ((left == 0) | ((left == 1) & leaves))
        self.claim("flow", (taken != 0) == (offers & free))
        self.claim("wait", bounded_wait(self, list(dut.commands), taken != 0))
        self.invariant(probe.signal("beats_left") == left)
        self.invariant(probe.signal("sender") == current)
        self.invariant(current < len(dut.commands))
        self.reach((taken != 0) & (left == 1) & leaves & (queue.level == 2))
