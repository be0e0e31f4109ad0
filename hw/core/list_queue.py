"""One queue of a list: its records, one after the other, to the unit that takes them."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.control import Queue
from gscn.encode import EncodeError
from gscn.hw.core.control_runner import ControlRunner
from gscn.hw.core.list_walk import ListWalk
from gscn.hw.layouts import burst_layout, list_range_layout, listed_record_layout, write_beat_layout
from gscn.pass_errors import PASS_ERROR_WIDTH

READ_CHANNELS = 2
"""Of the walk, and of control records."""


class ListQueue(wiring.Component):
    """Begin the records of a queue, each when the one before has ended.

    A pass goes to the unit; control records are run here. In order, a record begins when all before
    it in the list have ended, whosever they are. After `failed` nothing more is begun until reset.

    Golden: `emulator.lists`.

    Timing
    ------
    - Latency: `ENDED_LATENCY` from `unit_busy` to `ended`. The next record, if it was found
      meanwhile, is offered `RECORD_CYCLES` after `unit_busy` has fallen.
    - Throughput: one record at a time; the next one is looked for meanwhile.
    - Combinational: `list_range` -> `o_record.p`.
    - Reset: no list; outputs 0, but `over` = 1.

    Parameters
    ----------
    config
        Address width, memory port.
    queue
        Which queue it is.

    Attributes
    ----------
    start : In(1)
        Begin a list, or begin it anew (pulse); only while not `busy`, with `hold`.
    list_range : In(list_range_layout(config))
        Where it lies; held.
    first : In(config.addr_width + 1)
        Records before this address count as ended; held.
    in_order : In(1)
        Wait for all records before.
    hold : In(1)
        Begin none.
    cancel : In(1)
        Give up a control record that waits for something.
    others_ended : In(32)
        Records of the other queue that have ended.
    ended : Out(32)
        Records of this one that have.
    busy : Out(1)
        A record is under way.
    over : Out(1)
        No record is left to be begun.
    failed : Out(1)
        A record had an error.
    error : Out(PASS_ERROR_WIDTH)
        Which.
    addr : Out(config.addr_width)
        Of the record under way, or of the last one.
    back : Out(config.addr_width + 1)
        While not `busy`: a record's address; all before it have ended, neither it nor any behind.
    stop : Out(32)
        Number that the host is to be told; 0: none.
    told, answered : In(1)
        The host has been told; has answered (pulse).
    o_record : Out(stream.Signature(listed_record_layout(config)))
        A pass for the unit.
    unit_busy : In(1)
        It is under way: from the cycle after it was taken on.
    unit_error : In(PASS_ERROR_WIDTH)
        What is wrong with it, while `unit_busy`; 0: nothing.
    commands : Out(stream.Signature(burst_layout(config))).array(READ_CHANNELS)
        Bursts to read.
    data : In(config.mem_width)
        Their beats.
    data_valid : In(READ_CHANNELS)
        `data` is of this channel.
    write_command : Out(stream.Signature(burst_layout(config)))
        Beats to write.
    write_data : Out(stream.Signature(write_beat_layout(config)))
        Their content.
    write_done : In(1)
        A beat is in memory (pulse).
    """

    ENDED_LATENCY = 1
    RECORD_CYCLES = 2

    def __init__(self, *, config: ArrayConfig, queue: Queue):
        self.config = config
        self._queue = Queue(queue)
        command = stream.Signature(burst_layout(config))
        super().__init__(
            {
                "start": In(1),
                "list_range": In(list_range_layout(config)),
                "first": In(config.addr_width + 1),
                "in_order": In(1),
                "hold": In(1),
                "cancel": In(1),
                "others_ended": In(32),
                "ended": Out(32),
                "busy": Out(1),
                "over": Out(1),
                "failed": Out(1),
                "error": Out(PASS_ERROR_WIDTH),
                "addr": Out(config.addr_width),
                "back": Out(config.addr_width + 1),
                "stop": Out(32),
                "told": In(1),
                "answered": In(1),
                "o_record": Out(stream.Signature(listed_record_layout(config))),
                "unit_busy": In(1),
                "unit_error": In(PASS_ERROR_WIDTH),
                "commands": Out(command).array(READ_CHANNELS),
                "data": In(config.mem_width),
                "data_valid": In(READ_CHANNELS),
                "write_command": Out(command),
                "write_data": Out(stream.Signature(write_beat_layout(config))),
                "write_done": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = ListWalk(config=self.config, queue=self._queue)
        m.submodules.control = control = ControlRunner(config=self.config)
        wiring.connect(m, walk.command, wiring.flipped(self.commands[0]))
        wiring.connect(m, control.command, wiring.flipped(self.commands[1]))
        wiring.connect(m, control.write_command, wiring.flipped(self.write_command))
        wiring.connect(m, control.write_data, wiring.flipped(self.write_data))
        others = Signal(32)
        given_up, ends = Signal(), Signal()
        m.d.comb += [
            walk.start.eq(self.start),
            walk.list_range.eq(self.list_range),
            walk.first.eq(self.first),
            walk.data.eq(self.data),
            walk.data_valid.eq(self.data_valid[0]),
            control.addr.eq(self.addr),
            control.others.eq(others),
            control.ended.eq(self.others_ended),
            control.cancel.eq(self.cancel),
            control.told.eq(self.told),
            control.answered.eq(self.answered),
            control.data.eq(self.data),
            control.data_valid.eq(self.data_valid[1]),
            control.write_done.eq(self.write_done),
            self.stop.eq(control.stop),
            self.over.eq(walk.over),
            self.back.eq(Mux(given_up, self.addr, walk.addr)),
            self.o_record.p.addr.eq(self.addr),
            self.o_record.p.list_range.eq(self.list_range),
        ]

        def fail(error):
            m.d.sync += [self.failed.eq(1), self.error.eq(error)]
            m.next = "FAILED"

        with m.FSM() as fsm:
            with m.State("IDLE"):
                its_turn = ~self.in_order | (self.others_ended >= walk.others)
                with m.If(walk.found & its_turn & ~self.hold):
                    m.d.comb += walk.take.eq(1)
                    m.d.sync += [self.addr.eq(walk.addr), others.eq(walk.others)]
                    m.next = "OFFER"
                    with m.If(walk.outside):
                        fail(EncodeError.LIST)
                    with m.Elif(walk.control):
                        m.next = "CONTROL"
            with m.State("OFFER"):
                m.d.comb += self.o_record.valid.eq(1)
                with m.If(self.o_record.ready):
                    m.next = "RUN"
            with m.State("RUN"):
                with m.If(self.unit_error != 0):
                    fail(self.unit_error)
                with m.Elif(~self.unit_busy):
                    m.d.comb += ends.eq(1)
                    m.next = "IDLE"
            with m.State("CONTROL"):
                m.d.comb += control.en.eq(1)
                with m.If(control.done | control.cancelled):
                    m.d.comb += ends.eq(control.done)
                    m.d.sync += given_up.eq(control.cancelled)
                    m.next = "IDLE"
                with m.If(control.failed):
                    fail(control.error)
            with m.State("FAILED"):
                pass
        m.d.comb += self.busy.eq(~fsm.ongoing("IDLE") & ~fsm.ongoing("FAILED"))
        with m.If(self.start):
            m.d.sync += [self.ended.eq(0), given_up.eq(0)]
        with m.Elif(ends | walk.skips):
            m.d.sync += self.ended.eq(self.ended + 1)
        return m
