# ruff: noqa: ISC004 - parentheses around long replacements only clutter the table
"""Components with one planted fault each, and the claims that must fail on them."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import types
from dataclasses import dataclass

from formal.catalog import SUBJECTS, Subject


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """A change to the source of a component."""

    component: str
    claim: str
    old: str
    """Text that occurs exactly once in the component's module."""
    new: str
    size: int = 0
    """Which of the component's subjects shows it: what the first cannot show needs its own size."""

    @property
    def name(self) -> str:
        """Component, claim, size and the beginning of the fault."""
        at = f" at size {self.size}" if self.size else ""
        return f"{self.component}: {self.claim}{at}: {self.new[:40]}"

    def subject(self) -> Subject:
        """Return the component's subject, built from the changed source."""
        own = [s for s in SUBJECTS if s.component.__name__ == self.component]
        subject = own[self.size]
        module = importlib.import_module(subject.component.__module__)
        source = inspect.getsource(module)
        found = source.count(self.old)
        assert found == 1, f"{self.old!r} must occur once in {module.__name__}, not {found} times"
        changed = types.ModuleType(f"{module.__name__}_with_a_fault")
        exec(source.replace(self.old, self.new), vars(changed))
        return dataclasses.replace(subject, component=getattr(changed, self.component))


def _of(component: str, *faults: tuple[str, str, str], size: int = 0) -> list[Mutant]:
    return [
        Mutant(component=component, claim=claim, old=old, new=new, size=size)
        for claim, old, new in faults
    ]


MUTANTS = [
    *_of(
        "StreamFIFO",
        ("order", "out.eq(queue.r_data)", "out.eq(queue.r_data ^ (queue.level == 2))"),
        ("count", "self.level.eq(queue.level)", "self.level.eq(queue.level | ~self.o.valid)"),
        ("flow", "self.i.ready.eq(queue.w_rdy)", "self.i.ready.eq(queue.w_rdy & ~queue.r_rdy)"),
        ("held", "self.o.valid.eq(queue.r_rdy)", "self.o.valid.eq(queue.r_rdy & ~queue.w_en)"),
    ),
    *_of(
        "Sums",
        ("sum", "held_forwards.eq(writes &", "held_forwards.eq(0 & writes &"),
        ("sum", "adds_forwarded.eq(writes &", "adds_forwarded.eq(0 & writes &"),
        ("overflow", "(total[width] != total[width - 1])", "total[width]"),
        ("ends", "self.job_end.eq(held_ends)", "self.job_end.eq(held_ends | writes)"),
        ("index_error", "self.i_valid & ~i.job_end & ~in_range)", "self.i_valid & ~in_range)"),
    ),
    *_of(
        "RoundRobin",
        ("grant", "self.grant.eq(number)", "self.grant.eq(number ^ 1)"),
        ("wait", "below.eq((2 << self.grant) - 1)", "below.eq((1 << self.grant) - 1)"),
    ),
    *_of(
        "ReadArbiter",
        (
            "one",
            "channel.ready.eq(takes & alike[number])",
            "channel.ready.eq(takes)",
        ),
        ("order", "commands.i.p.eq(chosen)", "commands.i.p.eq(self.channels[0].p)"),
        ("owner", "last = beat + 1 == owners.o.p.beats", "last = beat + 2 == owners.o.p.beats"),
        ("amount", "owners.i.p.channels.eq(alike)", "owners.i.p.channels.eq(~0)"),
        (
            "held",
            "wiring.connect(m, commands.o, wiring.flipped(self.command))",
            "m.d.comb += [commands.o.ready.eq(self.command.ready),"
            " self.command.valid.eq(commands.o.valid & ~self.data_valid),"
            " self.command.p.eq(commands.o.p)]",
        ),
    ),
    *_of(
        "WriteArbiter",
        ("together", "(beats_left == 0) | ((beats_left == 1) & leaves)", "(beats_left < 2)"),
        (
            "owner",
            "sent = Array(beat.p for beat in self.beats)[sender]",
            "sent = Array(beat.p for beat in self.beats)[choice.grant]",
        ),
        ("order", "queue.i.p.eq(chosen)", "queue.i.p.eq(self.commands[0].p)"),
        (
            "issued",
            "command.ready.eq(self.issued & (choice.grant == number))",
            "command.ready.eq(self.issued)",
        ),
        (
            "held_command",
            "wiring.connect(m, queue.o, wiring.flipped(self.command))",
            "m.d.comb += [queue.o.ready.eq(self.command.ready),"
            " self.command.valid.eq(queue.o.valid & ~self.issued),"
            " self.command.p.eq(queue.o.p)]",
        ),
        (
            "held_data",
            "self.data.valid.eq((beats_left != 0) &",
            "self.data.valid.eq((beats_left != 0) & ~requests.all() &",
        ),
        (
            "inside",
            "last_addr[ALIGNMENT_BITS:] < self.range_end",
            "last_addr[ALIGNMENT_BITS:] <= self.range_end",
        ),
        ("refused", "requests.any() & ~inside", "requests.any()"),
    ),
    *_of(
        "PassSequencer",
        ("order", "burst.eq(burst + 1)", "burst.eq(burst + 1 + (due == 1))"),
        ("content", "self.data)[config.mem_width :]", "self.data)[config.mem_width - 1 : -1]"),
        ("none_lost", "self.busy.eq((left != 0) | self.start)", "self.busy.eq(left != 0)"),
        ("number", "self.number.eq(0xFFFFFFFF)", "self.number.eq(0)"),
        ("flow", "(checker.error == 0) & ~self.halt)", "(checker.error == 0))"),
        ("flow", "idle.eq(~self.running & ~self.start)", "idle.eq(~self.start)"),
        (
            "checked",
            "checker.start.eq(self.data_valid & (due == 1))",
            "checker.start.eq(self.data_valid & (due == 2))",
        ),
        ("refused", "Mux(there, checker.error, 0)", "Mux(left != 0, checker.error, 0)"),
        (
            "alone",
            "self.start_list.ready.eq((left == 0) & idle)",
            "self.start_list.ready.eq(left == 0)",
        ),
        (
            "held",
            "self.command.valid.eq(asks != 0)",
            "self.command.valid.eq((asks != 0) & ~self.halt)",
        ),
    ),
    *_of(
        "Cutter",
        (
            "once",
            "cursors.steps.eq(1), choice.en",
            "cursors.steps.eq(0), choice.en",
        ),
        (
            "once",
            "write.data.next.eq(held.next + samples)",
            "write.data.next.eq(held.next + samples - 1)",
        ),
        ("all", "& ~cursors.more.any()", ""),
        ("all", "& (tiles_open == 0)", ""),
        ("drains", "& ~teams.behind.any()", ""),
        (
            "drains",
            "Cat(one == members.gang for one in members.gangs) & ~mask",
            "self.hungry & ~mask",
        ),
        ("place", "members.gang + d.team - 1)", "members.gang + d.team)"),
        ("end", "& (bursts == 0)", ""),
        ("end", "& self.empty.all()", ""),
        ("end", "& (jobs == 0)", ""),
        ("room", "Mux(gives, given_mask, members.waits)", "members.waits"),
    ),
    *_of(
        "MarkJoiner",
        ("passed", "for count in passed).all()", "for count in passed).any()"),
        ("passed", "count + mark - self.o_valid", "count + mark - queue.o.ready * (count > 1)"),
        ("order", "self.o.eq(queue.o.p)", "self.o.eq(self.reports.p)"),
        ("idle", "self.idle.eq(~queue.o.valid)", "self.idle.eq(~self.o_valid)"),
    ),
    *_of(
        "PieceReader",
        (
            "held",
            "(beats_left != 0) & (room >= length)",
            "(beats_left != 0) & (room >= length) & ~self.data_valid",
        ),
        ("burst", "to_boundary.eq(burst -", "to_boundary.eq(burst + 0 *"),
        ("range", "beat_addr.eq(beat_addr + length)", "beat_addr.eq(beat_addr + 1)"),
        ("range", "(config.mem_bytes // 2 - 1)", "(config.mem_bytes // 2)"),
        ("range", "Mux(request.halfwords == 0, 0, last", "Mux(0, 0, last"),
        ("room", "(room >= length)", "(room != 0)"),
    ),
    *_of(
        "ResultWriter",
        (
            "held_command",
            "wiring.connect(m, commands.o, wiring.flipped(self.command))",
            "m.d.comb += [commands.o.ready.eq(self.command.ready),"
            " self.command.valid.eq(commands.o.valid & ~self.i.valid),"
            " self.command.p.eq(commands.o.p)]",
        ),
        ("held_beat", "self.o.valid.eq(level != 0)", "self.o.valid.eq((level != 0) & ~flushing)"),
        ("burst", "& open_place[:burst_bits].any()", "& (beats != 0)"),
        ("content", "mask | fresh.replicate(slots)", "mask"),
        ("content", "produce.eq(after)", "produce.eq(after ^ enters)"),
        ("address", "open_place == first + beats", "open_place >= first + beats"),
        (
            "address",
            "(beats != 0) & ((completes & ~follows) | ends)",
            "(beats != 0) & ((completes & ~follows) | flushing)",
        ),
        ("queued", "(completes & ~follows) | ends", "(completes & ~follows) | enters | ends"),
        ("empty", "self.empty.eq((level == 0) & ~begun)", "self.empty.eq(level == 0)"),
        ("taken", "~flushing & (~other | room)", "~flushing & room"),
    ),
    *_of(
        "WriteMerger",
        ("together", "((beats_left == 0) | ((beats_left == 1) & leaves))", "(beats_left < 2)"),
        (
            "owner",
            "beat.p for beat in self.beats)[sender]",
            "b.p for b in self.beats)[choice.grant]",
        ),
        ("owner", "self.data.ready & (beats_left != 0) & (sender", "self.data.ready & (sender"),
        ("order", "queue.i.p.eq(chosen)", "queue.i.p.eq(self.commands[0].p)"),
        ("answer", "owners.i.p.eq(choice.grant)", "owners.i.p.eq(sender)"),
        ("answer", "owners.o.ready.eq(self.done)", "owners.o.ready.eq(self.done & queue.i.ready)"),
        ("wait", "choice.en.eq(takes)", "choice.en.eq(takes & (beats_left == 0))"),
        (
            "held_command",
            "wiring.connect(m, queue.o, wiring.flipped(self.command))",
            "m.d.comb += [queue.o.ready.eq(self.command.ready),"
            " self.command.valid.eq(queue.o.valid & ~choice.en),"
            " self.command.p.eq(queue.o.p)]",
        ),
        ("held_data", "(beats_left != 0) & Array(", "(beats_left != 0) & ~self.done & Array("),
    ),
    # what no burst of 32 bytes can show
    *_of("WriteMerger", ("together", "beats_left = Signal(8)", "beats_left = Signal(2)"), size=1),
    *_of(
        "WriteArbiter",
        ("inside", "chosen.addr + ((chosen.beats - 1)[:8] << beat_bits)", "chosen.addr"),
        ("refused", "(chosen.beats - 1)[:8]", "chosen.beats[:8]"),
        ("together", "beats_left = Signal(8)", "beats_left = Signal(2)"),
        size=1,
    ),
    *_of(
        "WriteArbiter",
        ("inside", "(chosen.beats - 1)[:8]", "(chosen.beats - 1)[:3]"),
        ("together", "beats_left = Signal(8)", "beats_left = Signal(4)"),
        size=2,
    ),
    *_of(
        "WriteArbiter",
        ("inside", "chosen.addr + ((chosen.beats - 1)[:8] << beat_bits)", "chosen.addr"),
        size=3,
    ),
    *_of("ReadArbiter", ("owner", "beat = Signal(8)", "beat = Signal(1)"), size=1),
]
"""At least one fault for each claim, and faults that need their own size."""
