# ruff: noqa: ISC004 - parentheses around long replacements only clutter the table
"""Components with one planted fault each, and the claims that must fail on them."""

from __future__ import annotations

from tests.formal.mutant import of
from tests.formal.unit_mutants import UNIT_MUTANTS

MUTANTS = [
    *of(
        "StreamFIFO",
        ("order", "out[piece].eq(part.r_data)", "out[piece].eq(part.r_data ^ (part.level == 2))"),
        ("count", "self.level.eq(queue.level)", "self.level.eq(queue.level | ~self.o.valid)"),
        ("flow", "self.i.ready.eq(queue.w_rdy)", "self.i.ready.eq(queue.w_rdy & ~queue.r_rdy)"),
        ("held", "self.o.valid.eq(queue.r_rdy)", "self.o.valid.eq(queue.r_rdy & ~queue.w_en)"),
    ),
    *of(
        "StreamFIFO",
        ("order", "rows.addr.eq(first)", "rows.addr.eq(consume)"),
        ("order", "Mux(consume == depth - 1, 0, consume + 1)", "consume + 1"),
        ("count", "self.level + enters - leaves", "self.level + enters"),
        ("flow", "self.i.ready.eq(self.level != depth)", "self.i.ready.eq(self.level < depth - 1)"),
        (
            "held",
            "self.o.valid.eq(self.level != 0)",
            "self.o.valid.eq((self.level > 0) & ~enters)",
        ),
        size=4,
    ),
    *of(
        "Sums",
        ("sum", "held_forwards.eq(writes &", "held_forwards.eq(0 & writes &"),
        ("sum", "adds_forwarded.eq(writes &", "adds_forwarded.eq(0 & writes &"),
        ("overflow", "(total[width] != total[width - 1])", "total[width]"),
        ("ends", "self.job_end.eq(held_ends)", "self.job_end.eq(held_ends | writes)"),
        ("index_error", "self.i_valid & ~i.job_end & ~in_range)", "self.i_valid & ~in_range)"),
    ),
    *of(
        "RangeLookup",
        ("taken", "self.i.ready.eq(self.room & last)", "self.i.ready.eq(last)"),
        ("taken", "(row == word.rows)", "(row + 1 >= word.rows)"),
        ("order", "found.offset.eq(offset)", "found.offset.eq(word.offset)"),
        ("range", "next_key.eq(key + self.row_keys),", "next_key.eq(key),"),
        ("range", "key + word.span)", "key + word.span - 1)"),
        ("range", "bounds[0] != bounds[1]", "bounds[0] < bounds[1]"),
        ("marks", "found.job_end.eq(word.job_end)", "found.job_end.eq(word.job_end & is_mac)"),
        ("active", "self.active.eq(takes)", "self.active.eq(takes & is_mac)"),
    ),
    *of(
        "RingWalker",
        ("issued", "(following == fiber.end)", "(addr == fiber.end)"),
        ("issued", "addr.eq(Mux(resumed, next_addr, fiber.start))", "addr.eq(fiber.start)"),
        ("index", "found.offset + offset", "found.offset"),
        ("index", "lane.eq(addr[0])", "lane.eq(0)"),
        ("index", "first[1:] + (first[0] if number == 0 else 0)", "first[1:]"),
        ("product", "factors[1].eq(value)", "factors[1].eq(found.value)"),
        ("product", "value.eq(factors[0] * factors[1])", "value.eq(factors[0] * factors[0])"),
        ("ends", "(fiber.kind == WordKind.END) & fiber.job_end", "fiber.job_end"),
        ("mark", "self.mark.eq(self.i.valid & ~is_mac)", "self.mark.eq(self.i.valid & ends)"),
        ("active", "self.active.eq(issued | ends |", "self.active.eq(issued |"),
    ),
    *of(
        "RoundRobin",
        ("grant", "self.grant.eq(number)", "self.grant.eq(number ^ 1)"),
        ("wait", "below.eq((2 << self.grant) - 1)", "below.eq((1 << self.grant) - 1)"),
    ),
    *of(
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
    *of(
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
    *of(
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
    *of(
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
    *of(
        "MarkJoiner",
        ("passed", "for count in passed).all()", "for count in passed).any()"),
        ("passed", "count + mark - self.o_valid", "count + mark - queue.o.ready * (count > 1)"),
        ("order", "self.o.eq(queue.o.p)", "self.o.eq(self.reports.p)"),
        ("idle", "self.idle.eq(~queue.o.valid)", "self.idle.eq(~self.o_valid)"),
    ),
    *of(
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
    *of(
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
    # what no burst of 32 bytes can show
    *of(
        "WriteArbiter",
        ("inside", "chosen.addr + ((chosen.beats - 1)[:8] << beat_bits)", "chosen.addr"),
        ("refused", "(chosen.beats - 1)[:8]", "chosen.beats[:8]"),
        ("together", "beats_left = Signal(8)", "beats_left = Signal(2)"),
        size=1,
    ),
    *of(
        "WriteArbiter",
        ("inside", "(chosen.beats - 1)[:8]", "(chosen.beats - 1)[:3]"),
        ("together", "beats_left = Signal(8)", "beats_left = Signal(4)"),
        size=2,
    ),
    *of(
        "WriteArbiter",
        ("inside", "chosen.addr + ((chosen.beats - 1)[:8] << beat_bits)", "chosen.addr"),
        size=3,
    ),
    *of("ReadArbiter", ("owner", "beat = Signal(8)", "beat = Signal(1)"), size=1),
    *of(
        "AxiManager",
        ("reads", 'port["len"].eq(queue.o.p.beats - 1)', 'port["len"].eq(queue.o.p.beats)'),
        ("writes", "aw.i.ready & writes.i.ready &", "writes.i.ready &"),
        ("beats", "last.eq(beat_number + 1 == length)", "last.eq(beat_number == length)"),
        ("beats", "Mux(self.flush, 0, self.write_data.p.strobe)", "self.write_data.p.strobe"),
        ("beats", "write_taken & (lengths.o.valid | ~(moves & last))", "write_taken"),
        ("held", "axi.wvalid.eq(beats.o.valid)", "axi.wvalid.eq(beats.o.valid & ~self.flush)"),
        ("after", "lengths.o.valid | write_taken)", "lengths.o.valid | self.write_cmd.valid)"),
        (
            "answers",
            "self.write_done.eq(axi.bvalid & ~self.flush)",
            "self.write_done.eq(axi.bvalid)",
        ),
        ("idle", "(reads.level == 0) & (writes.level == 0)", "reads.level == 0"),
        (
            "granted",
            "ar.i.ready & reads.i.ready & ~self.flush",
            "ar.i.ready & reads.i.ready & ~self.flush & ~self.error",
        ),
        ("cleared", "lengths.i.ready & ~self.flush", "lengths.i.ready"),
        ("cleared", "(writes.level == 0)),", "(lengths.level == 0)),"),
        ("read_ends", 'port["valid"].eq(queue.o.valid)', 'port["valid"].eq(0)'),
        (
            "write_ends",
            "beats.i.ready & (self.write_data.valid | self.flush)",
            "beats.i.ready & self.write_data.valid",
        ),
        ("kept", "m.Elif(~self.error & read_fails)", "m.Elif(read_fails)"),
        (
            "read_error",
            "self.error_addr.eq(reads.o.p + read_offset)",
            "self.error_addr.eq(reads.o.p)",
        ),
        ("write_error", "self.error_addr.eq(writes.o.p)", "self.error_addr.eq(reads.o.p)"),
    ),
    *of(
        "AxiManager",
        ("reads", "ar.i.ready & reads.i.ready & ~self.flush", "reads.i.ready & ~self.flush"),
        size=1,
    ),
    *of(
        "RegisterFile",
        ("held", "m.If(axil.rready)", "m.If(1)"),
        ("once", "[has_read.eq(0), axil.rvalid.eq(1)]", "axil.rvalid.eq(1)"),
        ("prompt", "has_data & (~axil.bvalid | axil.bready)", "has_data & ~axil.bvalid"),
        ("stored", "(value & ~enabled) | (write_data & enabled)", "write_data & register.mask"),
        (
            "written",
            "getattr(self.written, register.name).eq(0)",
            "getattr(self.written, register.name).eq(getattr(self.written, register.name))",
        ),
        ("write_response", "axil.bresp.eq(Response.SLVERR)", "axil.bresp.eq(Response.OKAY)"),
        (
            "sampled",
            "m.d.comb += getattr(self.read, register.name).eq(1)",
            "m.d.comb += getattr(self.read, register.name).eq(~axil.rvalid)",
        ),
        (
            "read_response",
            "getattr(source, register.name) & register.mask",
            "getattr(source, register.name)",
        ),
    ),
    *of("RegisterFile", ("granted", "wready.eq(~has_data)", "wready.eq(~has_data & ~axil.bvalid)")),
    *of(
        "Control",
        ("clears", "m.If(self.clearing & self.idle)", "m.If(self.clearing)"),
        ("busy", "now.active.eq(now.running | self.clearing)", "now.active.eq(now.running)"),
        (
            "starts",
            "m.If(now.clear | now.stops):\n            m.d.sync += self.start_list.valid.eq(0)",
            "m.If(now.clear | now.stops):",
        ),
        ("starts", "| is_bad_address(first, self.config)", ""),
        ("starts", "(end > 1 << self.config.addr_width)", "(end >= 1 << self.config.addr_width)"),
        (
            "forgets",
            "now.accepts | (self.clearing & ~now.stopping)",
            "now.accepts | self.clearing",
        ),
        ("error", "Mux(self.busy, self.pass_number, NO_PASS)", "self.pass_number"),
        ("done", "was_running & ~now.running & ~now.stops &", "was_running & ~now.running &"),
        (
            "events",
            "(events & ~registers.written.INTERRUPT_STATUS) | happens",
            "(events | happens) & ~registers.written.INTERRUPT_STATUS",
        ),
    ),
    *UNIT_MUTANTS,
]
"""At least one fault for each claim, and faults that need their own size."""
