"""Bursts of several ports become bursts of one, whole and once, and each port hears of its own."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker, Queue, total
from formal.port.arbiter import taken_from
from formal.port.turns import Turns
from gscn.hw.port.write_merger import WriteMerger


class WriteMergerChecker(Checker):
    """Watch which port owns the beats that go to memory, and which one its answer.

    Assumed: commands are of 1 to `burst_beats` beats; ports hold their commands and beats until
    taken; memory answers a burst in a cycle after its command.
    """

    CLAIMS = {
        "together": "beats are taken from one port until its burst is complete",
        "owner": "a beat to memory is the next of the port whose command was taken last, with its "
        "strobes: each once, and none beside them",
        "order": "commands reach memory unchanged, in the order in which they were taken",
        "answer": "an answer is handed to the port of the oldest command without one, and to no "
        "other",
        "wait": "a port sees at most `count` - 1 commands of others taken while it offers one",
        "held_command": "`command` is held, its payload unchanged, until it is taken",
        "held_data": "`data` is held, its payload unchanged, until it is taken",
    }

    dut: WriteMerger

    def describe(self) -> None:
        """State that one burst is under way at a time, and how many wait for their answer."""
        dut, m, probe = self.dut, self.m, self.probe
        config, count = dut.config, len(dut.commands)
        longest = config.burst_beats
        for number, (command, beat) in enumerate(zip(dut.commands, dut.beats, strict=True)):
            self.assume(~command.valid | ((command.p.beats >= 1) & (command.p.beats <= longest)))
            self.assume(self.held(command, name=f"command{number}"))
            self.assume(self.held(beat, name=f"beat{number}"))
        taken, number, word = taken_from(m, dut.commands, name="command")
        beats_taken, giver, beat = taken_from(m, dut.beats, name="beat")
        takes, sent = taken != 0, dut.command.valid & dut.command.ready
        leaves = dut.data.valid & dut.data.ready

        # -- the burst whose beats are taken
        current, left = Signal.like(number), Signal(range(longest + 1))
        with m.If(takes):
            m.d.sync += [current.eq(number), left.eq(dut.command.p.shape()(word).beats)]
        with m.Elif(leaves):
            m.d.sync += left.eq(left - 1)
        self.claim(
            "together",
            ((beats_taken == 0) | ((beats_taken == 1) & (giver == current) & (left != 0)))
            & (taken <= 1)
            & (~takes | (left == 0) | ((left == 1) & leaves)),
        )
        self.claim(
            "owner",
            (beats_taken == leaves)
            & (~leaves | ((giver == current) & (Value.cast(dut.data.p) == beat) & (left != 0))),
        )

        # -- commands on their way to memory
        queue = Queue(self, "queue", depth=dut.COMMAND_DEPTH, width=len(word))
        follower = queue.follow(enters=takes, word=word, leaves=sent)
        self.claim(
            "order",
            (sent <= (queue.level != 0))
            & (
                ~follower.is_next
                | (dut.command.valid & (Value.cast(dut.command.p) == follower.word))
            ),
        )
        self._claim_answers(takes, number, sent, queue)
        turns = Turns(
            self,
            "choice",
            requests=Cat(command.valid for command in dut.commands),
            grant=number,
            en=takes,
        )
        self.claim("wait", turns.bounded)
        self.claim("held_command", self.held(dut.command, name="o_command"))
        self.claim("held_data", self.held(dut.data, name="o_data"))
        self.invariant(probe.signal("beats_left") == left)
        self.invariant(probe.signal("sender") == current)
        self.invariant(current < count)
        self.reach(takes & (left == 1) & leaves & (queue.level == 1) & turns.longest)

    def _claim_answers(self, takes: Value, number: Signal, sent: Value, queue: Queue) -> None:
        """Count commands that have reached memory and were not answered; follow one of them."""
        dut, depth = self.dut, self.dut.config.outstanding_bursts
        count = len(dut.commands)
        unanswered = Signal(range(depth + 1))  # of commands that have reached memory
        self.m.d.sync += unanswered.eq(unanswered + sent - dut.done)
        self.assume(~dut.done | (unanswered != 0))
        owners = Queue(self, "owners", depth=depth, width=max(1, (count - 1).bit_length()))
        owner = owners.follow(enters=takes, word=number, leaves=dut.done)
        answers = total(list(dut.channel_done))
        self.claim(
            "answer",
            (answers == dut.done)
            & (
                ~(owner.is_next & dut.done)
                | (dut.channel_done == Mux(owner.word < count, 1 << owner.word, 0))
            ),
        )
        self.invariant(owners.level == unanswered + queue.level)
        for place in range(depth):
            self.invariant((owners.level <= place) | (owners.row(place) < count))
