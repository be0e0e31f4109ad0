"""Write channel of a cluster: from parts of beats to bursts."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.config import AcceleratorConfig
from gscn.hw.layouts import burst_layout, slotted_beat_layout, write_part_layout, write_slots


class BurstWriter(wiring.Component):
    """Put beats together and write them to consecutive addresses in bursts.

    Parts are written straight into the slots of the queued beat; what no part has written is not
    strobed. A burst ends at a multiple of `burst_beats` beats, or with what is there when `flush`
    is high. All beats of a burst are complete before its command is offered.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, and from `i` to `command`.
    - Throughput: one part and one beat per cycle.
    - Combinational: `i.p` -> `i.ready`; `flush` -> `command.valid`. Only the end of a beat waits
      for room.
    - Reset: no part, no beat; outputs 0, but `i.ready` = 1 and `empty` = 1.

    Parameters
    ----------
    config
        Port width, burst length, PEs.

    Attributes
    ----------
    start : In(1)
        Take `start_addr` as the next beat's address (only while `empty`).
    start_addr : In(config.addr_width)
        Byte address, a multiple of the beat.
    i : In(stream.Signature(write_part_layout(config)))
        Parts of beats.
    flush : In(1)
        No more parts will come for this range; write what is queued.
    empty : Out(1)
        Every complete beat has been handed on.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts.
    o : Out(stream.Signature(slotted_beat_layout(config)))
        Beats, in the order of the commands.
    """

    LATENCY = 1

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "start_addr": In(config.addr_width),
                "i": In(stream.Signature(write_part_layout(config))),
                "flush": In(1),
                "empty": Out(1),
                "command": Out(stream.Signature(burst_layout(config))),
                "o": Out(stream.Signature(slotted_beat_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        burst, slots = config.burst_beats, write_slots(config)
        beat_bits = (config.mem_bytes - 1).bit_length()
        burst_bits = burst.bit_length() - 1
        slot_bits = config.mem_width // slots

        # -- the queue: `depth` complete beats, and one that is being put together
        depth = 2 * burst
        rows = depth + 1
        m.submodules.beats = beats = Memory(shape=config.mem_width, depth=rows, init=[])
        m.submodules.strobes = strobes = Memory(shape=slots, depth=rows, init=[])
        write_data = beats.write_port(granularity=slot_bits)
        write_strobe = strobes.write_port(granularity=1)
        read_data, read_strobe = (memory.read_port(domain="comb") for memory in (beats, strobes))

        produce = Signal(range(rows))
        consume = Signal(range(rows))
        level = Signal(range(rows))
        begun = Signal()  # the beat at `produce` has a part
        enters = self.i.valid & self.i.ready
        completes = enters & self.i.p.ends
        leaves = self.o.valid & self.o.ready
        m.d.comb += [
            self.i.ready.eq(~self.i.p.ends | (level != depth)),
            write_data.addr.eq(produce),
            write_data.data.eq(self.i.p.data.as_value().replicate(slots // 4)),
            write_data.en.eq(Mux(enters, self.i.p.slots, 0)),
            # the first part also clears the strobes that the beat before has left
            write_strobe.addr.eq(produce),
            write_strobe.data.eq(self.i.p.slots),
            write_strobe.en.eq(Mux(enters, self.i.p.slots | (~begun).replicate(slots), 0)),
            read_data.addr.eq(consume),
            read_strobe.addr.eq(consume),
            self.o.valid.eq(level != 0),
            self.o.p.data.eq(read_data.data),
            self.o.p.slots.eq(read_strobe.data),
            self.empty.eq(level == 0),
        ]
        with m.If(enters):
            m.d.sync += begun.eq(~self.i.p.ends)
        with m.If(completes):
            m.d.sync += produce.eq(Mux(produce == depth, 0, produce + 1))
        with m.If(leaves):
            m.d.sync += consume.eq(Mux(consume == depth, 0, consume + 1))
        m.d.sync += level.eq(level + completes - leaves)

        # -- bursts
        beat_addr = Signal(config.addr_width - beat_bits, reset_less=True)
        available = Signal(range(rows))  # complete beats that no command has named
        to_boundary = Signal(range(burst + 1))
        length = Signal(range(burst + 1))
        m.d.comb += [
            to_boundary.eq(burst - beat_addr[:burst_bits]),
            length.eq(Mux(available < to_boundary, available, to_boundary)),
            self.command.p.addr.eq(beat_addr << beat_bits),
            self.command.p.beats.eq(length),
            # the address has no reset, and without beats must not reach the command
            self.command.valid.eq((available != 0) & (self.flush | (available >= to_boundary))),
        ]
        issued = self.command.valid & self.command.ready
        m.d.sync += available.eq(available + completes - Mux(issued, length, 0))
        with m.If(self.start):
            m.d.sync += beat_addr.eq(self.start_addr[beat_bits:])
        with m.Elif(issued):
            m.d.sync += beat_addr.eq(beat_addr + length)
        return m
