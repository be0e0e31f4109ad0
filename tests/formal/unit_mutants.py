# ruff: noqa: ISC004 - parentheses around long replacements only clutter the table
"""Faults of the encode unit, of lists, and of the port that they share with the array."""

from __future__ import annotations

from tests.formal.mutant import of

UNIT_MUTANTS = [
    *of(
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
    *of("WriteMerger", ("together", "beats_left = Signal(8)", "beats_left = Signal(2)"), size=1),
    *of(
        "WideFIFO",
        ("order", "write.data.eq(given[piece])", "write.data.eq(given[piece] ^ (level == 2))"),
        ("order", "Mux(consume == depth - 1, 0, consume + 1)", "consume + 1"),
        ("flow", "self.i.ready.eq(level != depth)", "self.i.ready.eq(level < depth - 1)"),
        ("held", "self.o.valid.eq(level != 0)", "self.o.valid.eq((level != 0) & ~comes)"),
    ),
    *of(
        "LineGatherer",
        (
            "content",
            "Mux(fresh, ~0, Mux(enters, line.halfwords, 0))",
            "Mux(enters, line.halfwords, 0)",
        ),
        ("content", "at.eq(produce + completes)", "at.eq(produce)"),
        ("content", "begun & (line.place != place)", "begun & (line.place > place)"),
        ("held", "self.o.valid.eq(level != 0)", "self.o.valid.eq((level != 0) & ~self.i.valid)"),
        ("taken", "~ending & (~begun | room)", "(~ending & ~begun) | room"),
        ("ended", "ending & ~begun & ~self.o.valid", "ending & ~self.o.valid"),
    ),
    *of(
        "LineWriter",
        ("whole", "one.replicate(HALFWORD // 8)", "(one & ~commanded).replicate(HALFWORD // 8)"),
        ("whole", "(line.place << ALIGNMENT_BITS)", "((line.place + beat[0]) << ALIGNMENT_BITS)"),
        ("taken", "ends_line & (at_hand == number)", "ends_line & self.en & (at_hand == number)"),
        ("burst", "advances.eq((commanded | command_goes) & (", "advances.eq(("),
        ("begins", "(choice.requests.any() & self.en)", "choice.requests.any()"),
        ("idle", "self.idle.eq(~held & (under_way == 0))", "self.idle.eq(under_way == 0)"),
        ("wait", "choice.en.eq(valid & ~held)", "choice.en.eq(0)"),
        ("held_command", "valid & ~commanded & (", "valid & ~commanded & ~self.write_done & ("),
        (
            "held_data",
            "self.data.valid.eq(valid &",
            "self.data.valid.eq(valid & ~self.write_done &",
        ),
    ),
]
