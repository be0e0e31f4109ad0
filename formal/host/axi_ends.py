"""What an AXI4 manager has under way comes to its end: what is left after a flush, and steps."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker, Follower, Queue
from gscn.hw.host.axi import AxiManager


@dataclass(frozen=True, kw_only=True, slots=True)
class Direction:
    """Commands of one direction on their way."""

    taken: Signal
    """A command is taken."""
    queue: Queue
    """Commands that the port has not taken."""
    pending: Queue
    """Commands that are not answered."""
    order: Value
    """Commands leave in order, as legal bursts, and stay until they are taken."""
    granted: Value
    """A command is taken whenever there is room for it."""
    sent: Value
    """The port takes a command."""
    open: Signal
    """Commands that the port has taken, and not answered, counted at the port."""
    followed: Follower
    """One command, from where it is taken to its answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sending:
    """Written beats at the port."""

    sent: Value
    """The port takes a beat."""
    waits: Value
    """A beat is on its way to the port, or waited for."""
    number: Signal
    """Beats of its burst that the port has taken before the next one."""
    complete: Signal
    """Bursts whose last beat it has taken, and that are not answered."""


class AxiEnds(Checker):
    """The claims `cleared`, `read_ends` and `write_ends` of an `AxiManager`.

    Steps are counted, not cycles: with each made within M cycles of when it is possible, by memory
    or, of a beat that is written, by the array, a burst ends within M times as many. A flushed
    manager waits for no beat of the array.
    """

    dut: AxiManager

    def cleared(self, read: Direction, write: Direction, sending: Sending) -> None:
        """State what is left at the port when a flush is over."""
        dut, axi = self.dut, self.dut.axi
        takes = dut.read_cmd.ready | dut.write_cmd.ready | dut.write_data.ready
        offers = axi.arvalid | axi.awvalid | axi.wvalid
        under_way = Cat(read.open, write.open, sending.complete, sending.number).any()
        quiet = ~dut.idle | (~offers & ~under_way)
        self.claim("cleared", ~dut.flush | (~takes & quiet))

    def _steps(self, name: str, entered: Value, step: Value, most: int) -> Signal:
        """Return how many steps there were since something entered."""
        count = Signal(range(most + 1), name=f"{name}_steps")
        with self.m.If(entered):
            self.m.d.sync += count.eq(0)
        with self.m.Elif(step):
            self.m.d.sync += count.eq(count + 1)
        return count

    def _address_leaves(self, name: str, valid: Value, one: Direction) -> tuple[Value, Value]:
        """Return whether the burst followed waits for its address to be taken, and is offered."""
        followed, most = one.followed, self.dut.COMMAND_DEPTH
        waits = followed.inside & (followed.ahead >= one.open)
        steps = self._steps(f"{name}_address", followed.enters, one.sent & waits, most)
        self.invariant(~waits | (steps + (followed.ahead - one.open) + 1 <= most))
        return waits, valid & (steps < most)

    def read_ends(self, read: Direction) -> None:
        """Count the steps to the last beat of a read burst."""
        dut, axi, followed = self.dut, self.dut.axi, read.followed
        longest = dut.config.burst_beats
        most = dut.config.outstanding_bursts * longest
        waits, leaves = self._address_leaves("read", axi.arvalid, read)
        owed = followed.inside & ~waits
        steps = self._steps("read_beat", followed.enters, axi.rvalid & owed, most)
        got = Signal(range(longest), name="read_got")  # beats of the burst that is next
        with self.m.If(axi.rvalid):
            self.m.d.sync += got.eq(Mux(axi.rlast, 0, got + 1))
        self.assume(~axi.rvalid | (got != longest - 1) | axi.rlast)
        self.invariant(self.probe.signal("read_offset") == got * dut.config.mem_bytes)
        to_come = followed.ahead * longest + longest - got
        self.invariant(~owed | (steps + to_come <= most))
        self.invariant(~waits | (steps == 0))
        self.claim(
            "read_ends",
            ~followed.inside | Mux(waits, leaves, (read.open != 0) & (steps < most)),
        )

    def write_ends(self, write: Direction, sending: Sending) -> None:
        """Count the steps to the last beat of a written burst, and to its answer."""
        dut, axi, followed = self.dut, self.dut.axi, write.followed
        longest, bursts = dut.config.burst_beats, dut.WRITE_BURSTS
        waits, leaves = self._address_leaves("write", axi.awvalid, write)
        unsent = followed.inside & (followed.ahead >= sending.complete)
        beats = self._steps("write_beat", followed.enters, sending.sent & unsent, bursts * longest)
        to_send = (followed.ahead - sending.complete + 1) * longest - sending.number
        self.invariant(~unsent | (beats + to_send <= bursts * longest))
        owed = followed.inside & ~waits & ~unsent
        answers = self._steps("answer", followed.enters, axi.bvalid & owed, bursts)
        self.invariant(~owed | (answers + followed.ahead + 1 <= bursts))
        self.invariant(owed | (answers == 0) | ~followed.inside)
        self.claim(
            "write_ends",
            (~waits | leaves)
            & (~unsent | (sending.waits & (beats < bursts * longest)))
            & (~owed | ((sending.complete != 0) & (write.open != 0) & (answers < bursts))),
        )
