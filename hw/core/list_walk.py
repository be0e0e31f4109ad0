"""Walk of a list: find the records of one queue by their bytes 73 and 74."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.control import CONTROL_MODE, CONTROL_RECORD, Queue
from gscn.encode import ENCODE_DESCRIPTOR_BYTES, ENCODE_MODE
from gscn.hw.layouts import burst_layout, list_range_layout
from gscn.passes import DESCRIPTOR_BYTES

QUEUE_PLACE = int(CONTROL_RECORD.dtype.fields["queue"][1])
MODE_PLACE = int(CONTROL_RECORD.dtype.fields["mode"][1])


class ListWalk(wiring.Component):
    """Find one record of a queue after the other, ahead of who takes them.

    From `start` on it reads the bytes of every record of the list that say whose it is. It counts
    those of the other queue, and passes over its own before `first`. A record that was found waits
    for `take`; then the next one is looked for.

    Golden: `emulator.list_records.listed`.

    Timing
    ------
    - Latency: `OVER_LATENCY` from `start` to `over`; `FOUND_LATENCY` from `data` to `found`.
    - Throughput: a record for every read, and 3 cycles.
    - Combinational: `data`, `data_valid`, `first` -> `skips`; `list_range` -> `outside`.
    - Reset: no list; outputs 0, but `over` = 1.

    Parameters
    ----------
    config
        Address width, memory port.
    queue
        Whose records it finds.

    Attributes
    ----------
    start : In(1)
        Begin at the list's first record (pulse).
    list_range : In(list_range_layout(config))
        Where the list lies; held from `start` on.
    first : In(config.addr_width + 1)
        Records before this address are passed over; held from `start` on.
    command : Out(stream.Signature(burst_layout(config)))
        Beats to read, one at a time.
    data : In(config.mem_width)
        A beat.
    data_valid : In(1)
        `data` is there.
    found : Out(1)
        There is a record.
    over : Out(1)
        There is no further one.
    take : In(1)
        Look for the next one (pulse); only while `found`.
    skips : Out(1)
        A record of the queue is passed over (pulse).
    addr : Out(config.addr_width + 1)
        The record's address; of that looked at, or the list's end, while none is found.
    control : Out(1)
        It is a control record.
    outside : Out(1)
        It does not end within the list.
    others : Out(32)
        Records of the other queue before it.
    """

    OVER_LATENCY = 1
    FOUND_LATENCY = 1

    def __init__(self, *, config: ArrayConfig, queue: Queue):
        self.config = config
        self._queue = Queue(queue)
        super().__init__(
            {
                "start": In(1),
                "list_range": In(list_range_layout(config)),
                "first": In(config.addr_width + 1),
                "command": Out(stream.Signature(burst_layout(config))),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "found": Out(1),
                "over": Out(1),
                "take": In(1),
                "skips": Out(1),
                "addr": Out(config.addr_width + 1),
                "control": Out(1),
                "outside": Out(1),
                "others": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        beat = self.config.mem_bytes
        byte = self.data.word_select
        mode, queue = byte(MODE_PLACE % beat, 8), byte(QUEUE_PLACE % beat, 8)
        anew, own, encode, double = Signal(), Signal(), Signal(), Signal()
        place = Signal(self.config.addr_width + 1)
        encode_queue = (mode == ENCODE_MODE) | ((mode == CONTROL_MODE) & (queue == Queue.ENCODE))
        m.d.comb += [
            encode.eq(mode == ENCODE_MODE),
            own.eq(encode_queue == (self._queue == Queue.ENCODE)),
            place.eq(self.addr + MODE_PLACE // beat * beat),
            self.command.p.addr.eq(place),
            self.command.p.beats.eq(1),
            self.outside.eq(double & (self.addr + DESCRIPTOR_BYTES >= self.list_range.end)),
        ]

        def step(is_double):
            bytes_ = Mux(is_double, ENCODE_DESCRIPTOR_BYTES, DESCRIPTOR_BYTES)
            return self.addr.eq(self.addr + bytes_)

        def begin_if_told():
            with m.If(anew):
                m.d.sync += [anew.eq(0), self.addr.eq(self.list_range.begin), self.others.eq(0)]
                m.next = "LOOK"

        with m.FSM():
            with m.State("OVER"):
                m.d.comb += self.over.eq(~anew)
                begin_if_told()
            with m.State("LOOK"):
                with m.If(self.addr >= self.list_range.end):
                    m.next = "OVER"
                with m.Else():
                    m.next = "ASK"
                begin_if_told()
            with m.State("ASK"):
                m.d.comb += self.command.valid.eq(1)
                with m.If(self.command.ready):
                    m.next = "READ"
            with m.State("READ"), m.If(self.data_valid):
                m.next = "LOOK"
                m.d.sync += [double.eq(encode), self.control.eq(mode == CONTROL_MODE)]
                with m.If(own & (self.addr >= self.first) & ~anew):
                    m.next = "FOUND"
                with m.Else():
                    m.d.comb += self.skips.eq(own & ~anew)
                    m.d.sync += [self.others.eq(self.others + ~own), step(encode)]
            with m.State("FOUND"):
                m.d.comb += self.found.eq(~anew)
                with m.If(self.take):
                    m.d.sync += step(double)
                    m.next = "LOOK"
                begin_if_told()
        with m.If(self.start):
            m.d.sync += anew.eq(1)
        return m
