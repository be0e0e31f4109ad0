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
    *of(
        "ListQueue",
        ("turn", "self.others_ended >= walk.others", "self.others_ended + 1 >= walk.others"),
        ("turn", "walk.found & its_turn & ~self.hold", "walk.found & its_turn"),
        (
            "offer",
            "with m.If(self.o_record.ready):",
            "with m.If(self.o_record.ready & ~self.hold):",
        ),
        ("control", "others.eq(walk.others)]", "others.eq(self.others_ended)]"),
        ("ended", "m.Elif(ends | walk.skips)", "m.Elif(ends)"),
        ("failed", "fail(self.unit_error)", "fail(control.error)"),
        (
            "busy",
            'self.busy.eq(~fsm.ongoing("IDLE") &',
            'self.busy.eq(self.o_record.valid | fsm.ongoing("RUN") &',
        ),
        ("back", "given_up.eq(control.cancelled)", "given_up.eq(control.done)"),
    ),
    *of(
        "ListSequencer",
        ("busy", "self.busy & over & idle & ~begins &", "self.busy & over & idle &"),
        ("begins", "stops.eq(anew & idle & ~failed)", "stops.eq(anew & ~failed)"),
        ("list", "list_range.end.eq(self.start.p.addr +", "list_range.end.eq(self.start.p.first +"),
        ("first", "Mux(queue.back < first, queue.back, first)", "first"),
        ("hold", "queue.hold.eq(begins | anew | failed)", "queue.hold.eq(begins | failed)"),
        ("stop", "teller.eq(~waiting[Queue.ENCODE])", "teller.eq(waiting[Queue.ENCODE])"),
        ("error", "failed & idle & (self.error == 0)", "failed & (self.error == 0)"),
        ("error", "return Mux(known, which, ~encode)", "return ~encode"),
        (
            "units",
            "encode.unit_error.eq(self.encode_error)",
            "encode.unit_error.eq(self.array_error)",
        ),
    ),
    *of(
        "DenseWriter",
        ("place", "(self.wide | ~upper).replicate(half)", "(self.wide | upper).replicate(half)"),
        ("inside", "(place == end) & ~self.wide &", "(place == end) &"),
        ("outside", "bad.eq(vector.wanted & (", "bad.eq(("),
        ("ended", "self.ended.eq(gatherer.ended)", "self.ended.eq(gatherer.ended & ~self.i.valid)"),
    ),
    *of(
        "IntegerWriter",
        ("place", "at == part if parts > 1", "at >= part if parts > 1"),
        ("inside", "(end > self.last)", "(vector.addr > self.last)"),
        ("outside", "(end > self.last)", "(end >= self.last)"),
        ("ended", "self.ended.eq(gatherer.ended)", "self.ended.eq(gatherer.ended & ~self.i.valid)"),
    ),
    *of(
        "StripWriter",
        ("inside", "beat.p.count << 1 <= rest", "beat.p.count <= rest"),
        ("place", "beat.p.count > n for", "beat.p.count >= n for"),
        ("exceeded", "with m.If(~fits):", "with m.If(~fits & ~beat.p.last):"),
    ),
    *of(
        "Outputs",
        ("stopped", "port.en.eq(~failed)", "port.en.eq(self.error == 0)"),
        ("stopped", "i.ready.eq(writer.i.ready | failed)", "i.ready.eq(writer.i.ready)"),
        ("both", "to.valid.eq(i.valid & one.has & other &", "to.valid.eq(i.valid & one.has &"),
        ("done", "~one.has | one.writer.ended for", "one.has | one.writer.ended for"),
        ("error", "Mux(exceeded, EncodeError.CAPACITY, 0)", "EncodeError.CAPACITY"),
        ("port", "self.busy.eq(~port.idle)", "self.busy.eq(~port.idle & self.command.valid)"),
    ),
    *of(
        "EncodeFront",
        (
            "taken",
            "self.busy.eq(~self.start.ready)",
            "self.busy.eq(~self.start.ready | self.give_up)",
        ),
        ("read", "record.start.eq(machine.error == 0)", "record.start.eq(1)"),
        ("looked", "machine.start.eq(self.finish)", "machine.start.eq(self.finish | self.give_up)"),
        ("begin", "with m.If(machine.error != 0):", "with m.If(0):"),
        ("send", "record.send.eq(1)", "record.send.eq(~machine.error.any())"),
        ("error", "self.error.eq(machine.error)", "self.error.eq(machine.error & 7)"),
        ("walk", "walk.start.eq(self.begin)", "walk.start.eq(self.begin | self.finish)"),
    ),
    *of(
        "EncodeUnit",
        ("end", "ends.eq(runs & outputs.done & ~failed)", "ends.eq(runs & outputs.done)"),
        ("end", "stopped & inputs.quiet & ~outputs.busy", "stopped & inputs.quiet"),
        ("state", "with m.If(front.finish):", "with m.If(front.finish | front.give_up):"),
        ("answers", "self.mem_write_done & ~own", "self.mem_write_done"),
        ("halt", "inputs.halt.eq(stopped | (runs & failed))", "inputs.halt.eq(stopped)"),
        ("error", "with m.If(front.give_up):", "with m.If(ends):"),
        ("joined", "lanes.state.eq(front.state)", "lanes.state.eq(0)"),
        (
            "held_command",
            "with m.If(front.begin):\n            m.d.sync += own",
            "with m.If(~front.busy | self.mem_write_done):\n            m.d.sync += own",
        ),
        ("held_data", "others.ready.eq(port.ready & ~own)", "others.ready.eq(port.ready)"),
    ),
]
