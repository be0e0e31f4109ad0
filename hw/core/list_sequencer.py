"""Sequencer of lists: records of both queues, in order or side by side."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.control import Queue
from gscn.hw.core.list_queue import READ_CHANNELS, ListQueue
from gscn.hw.core.pass_sequencer import listed_passes_layout
from gscn.hw.layouts import list_range_layout, listed_record_layout, memory_port_members
from gscn.hw.port.arbiter import ReadArbiter
from gscn.hw.port.write_merger import WriteMerger
from gscn.pass_errors import PASS_ERROR_WIDTH
from gscn.passes import DESCRIPTOR_BYTES


def list_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a list: its first byte, a multiple of 64, and its places of `DESCRIPTOR_BYTES`.

    Records before `first` count as ended: that is `addr` for all of them to run.
    """
    return data.StructLayout(
        {"addr": config.addr_width, "places": 32, "first": config.addr_width, "two_queues": 1}
    )


def answer_layout(config: ArrayConfig) -> data.StructLayout:
    """Return the host's answer to a stop: go on, or begin anew at the record at `addr`."""
    return data.StructLayout({"anew": 1, "addr": config.addr_width})


class ListSequencer(wiring.Component):
    """Run lists of passes of both kinds and of control records.

    Each queue begins its own records, one after the other. The host is told of one stop at a time.
    If it answers that the list begins anew, the record of the stop and that of the other queue end;
    then records from that one on are those that have not ended, beside those that had not anyhow.

    After an error the other queue ends the record it is at, but a control record that waits for
    something is given up; then `error` says what it was, and the sequencer must be reset.

    Golden: `emulator.lists`.

    Timing
    ------
    - Latency: `BUSY_LATENCY` from `start` to `busy`; `ANSWER_LATENCY` from `answer` to `stop`. The
      next pass, if it was found meanwhile, is offered `ListQueue.RECORD_CYCLES` after the one
      before has ended.
    - Throughput: one record of each queue at a time.
    - Combinational: none.
    - Reset: no list; outputs 0, but `start.ready` = 1.

    Parameters
    ----------
    config
        Address width, memory port.

    Attributes
    ----------
    start : In(stream.Signature(list_layout(config)))
        Lists.
    busy : Out(1)
        A list is under way, or there was an error.
    stop : Out(32)
        Number that the host is told; 0: none.
    answer : In(stream.Signature(answer_layout(config)))
        Its answer, taken while `stop` is not 0.
    error : Out(PASS_ERROR_WIDTH)
        Of the first record that failed, when the other queue is at an end; until reset.
    error_addr : Out(config.addr_width)
        Its address.
    record_addrs : Out(config.addr_width).array(len(Queue))
        Per queue, of the record under way, or of the last one.
    start_array : Out(stream.Signature(listed_passes_layout(config)))
        Passes for the array, one at a time.
    array_busy : In(1)
        Of the array, from the cycle after it took a pass.
    array_error : In(PASS_ERROR_WIDTH)
        Of the array, which stays busy; 0: none.
    start_encode : Out(stream.Signature(listed_record_layout(config)))
        Passes for the encode unit.
    encode_busy : In(1)
        As of the array.
    encode_error : In(PASS_ERROR_WIDTH)
        As of the array.
    mem_read_cmd : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    mem_read_data : In(read_beats(config))
        Beats read, in the order of the commands, taken at once.
    mem_write_cmd : Out(stream.Signature(burst_layout(config)))
        Beats to write, one at a time.
    mem_write_data : Out(stream.Signature(write_beat_layout(config)))
        Their content.
    mem_write_done : In(1)
        A beat is in memory (pulse).
    """

    BUSY_LATENCY = 1
    ANSWER_LATENCY = 1

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "start": In(stream.Signature(list_layout(config))),
                "busy": Out(1),
                "stop": Out(32),
                "answer": In(stream.Signature(answer_layout(config))),
                "error": Out(PASS_ERROR_WIDTH),
                "error_addr": Out(config.addr_width),
                "record_addrs": Out(config.addr_width).array(len(Queue)),
                "start_array": Out(stream.Signature(listed_passes_layout(config))),
                "array_busy": In(1),
                "array_error": In(PASS_ERROR_WIDTH),
                "start_encode": Out(stream.Signature(listed_record_layout(config))),
                "encode_busy": In(1),
                "encode_error": In(PASS_ERROR_WIDTH),
                **memory_port_members(config, "mem"),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        queues = [ListQueue(config=config, queue=queue) for queue in Queue]
        for queue, name in zip(queues, ("encode", "array"), strict=True):
            m.submodules[f"{name}_queue"] = queue
        self._add_port(m, queues)
        self._join_units(m, queues)

        list_range = Signal(list_range_layout(config))
        in_order, begins, anew, stops = Signal(), Signal(), Signal(), Signal()
        first = Signal(config.addr_width + 1)
        failed, idle = Signal(), Signal()
        m.d.comb += [
            failed.eq(Cat(queue.failed for queue in queues).any()),
            idle.eq(~Cat(queue.busy for queue in queues).any()),
            self.start.ready.eq(~self.busy),
        ]
        for queue, other in (queues, queues[::-1]):
            m.d.comb += [
                queue.list_range.eq(list_range),
                queue.in_order.eq(in_order),
                queue.others_ended.eq(other.ended),
                queue.start.eq(begins),
                queue.hold.eq(begins | anew | failed),
                queue.cancel.eq(anew | failed),
            ]
            own_first = Signal(config.addr_width + 1)
            m.d.comb += queue.first.eq(own_first)
            with m.If(self.start.valid & self.start.ready):
                m.d.sync += own_first.eq(self.start.p.first)
            with m.Elif(stops):
                m.d.sync += own_first.eq(Mux(queue.back < first, queue.back, first))

        # -- from one begin of the list to the next
        m.d.sync += begins.eq(0)
        with m.If(self.start.valid & self.start.ready):
            m.d.sync += [
                self.busy.eq(1),
                begins.eq(1),
                in_order.eq(~self.start.p.two_queues),
                list_range.begin.eq(self.start.p.addr),
                list_range.end.eq(self.start.p.addr + self.start.p.places * DESCRIPTOR_BYTES),
            ]
        m.d.comb += stops.eq(anew & idle & ~failed)
        with m.If(stops):
            m.d.sync += [anew.eq(0), begins.eq(1)]
        over = Cat(queue.over for queue in queues).all()
        with m.If(self.busy & over & idle & ~begins & ~anew & ~failed):
            m.d.sync += self.busy.eq(0)
        first_failed = self._first_failed(m, queues)
        with m.If(failed & idle & (self.error == 0)):
            m.d.sync += [
                self.error.eq(Array(queue.error for queue in queues)[first_failed]),
                self.error_addr.eq(Array(queue.addr for queue in queues)[first_failed]),
            ]
        with m.If(self._tell(m, queues) & self.answer.p.anew):
            m.d.sync += [anew.eq(1), first.eq(self.answer.p.addr)]
        return m

    def _first_failed(self, m, queues):
        """Return which queue failed first; of two in one cycle, the encode unit's."""
        encode, array = (queue.failed for queue in queues)
        known, which = Signal(), Signal()
        with m.If((encode | array) & ~known):
            m.d.sync += [known.eq(1), which.eq(~encode)]
        return Mux(known, which, ~encode)

    def _tell(self, m, queues):
        """Tell the host of one stop at a time; return whether it answers."""
        told, teller = Signal(), Signal()
        waiting = Cat(queue.stop != 0 for queue in queues)
        answers = Signal()
        m.d.comb += [
            self.stop.eq(Mux(told, Array(queue.stop for queue in queues)[teller], 0)),
            self.answer.ready.eq(told),
            answers.eq(told & self.answer.valid),
        ]
        for number, queue in enumerate(queues):
            m.d.comb += [
                queue.told.eq(told & (teller == number)),
                queue.answered.eq(answers & (teller == number)),
            ]
        with m.If(answers):
            m.d.sync += told.eq(0)
        with m.Elif(~told & waiting.any() & ~queues[0].cancel):
            m.d.sync += [told.eq(1), teller.eq(~waiting[Queue.ENCODE])]
        return answers

    def _add_port(self, m, queues):
        """Share the memory port among the queues."""
        m.submodules.reads = reads = ReadArbiter(
            config=self.config, count=READ_CHANNELS * len(queues)
        )
        m.submodules.writes = writes = WriteMerger(config=self.config, count=len(queues))
        wiring.connect(m, reads.command, wiring.flipped(self.mem_read_cmd))
        wiring.connect(m, writes.command, wiring.flipped(self.mem_write_cmd))
        wiring.connect(m, writes.data, wiring.flipped(self.mem_write_data))
        m.d.comb += [
            reads.data_valid.eq(self.mem_read_data.valid),
            writes.done.eq(self.mem_write_done),
        ]
        for number, queue in enumerate(queues):
            wiring.connect(m, queue.write_command, writes.commands[number])
            wiring.connect(m, queue.write_data, writes.beats[number])
            for channel in range(READ_CHANNELS):
                place = READ_CHANNELS * number + channel
                wiring.connect(m, queue.commands[channel], reads.channels[place])
            m.d.comb += [
                queue.data.eq(self.mem_read_data.payload),
                queue.data_valid.eq(reads.channel_valid.word_select(number, READ_CHANNELS)),
                queue.write_done.eq(writes.channel_done[number]),
                self.record_addrs[number].eq(queue.addr),
            ]

    def _join_units(self, m, queues):
        """Give each queue its unit."""
        encode, array = queues
        wiring.connect(m, encode.o_record, wiring.flipped(self.start_encode))
        m.d.comb += [
            encode.unit_busy.eq(self.encode_busy),
            encode.unit_error.eq(self.encode_error),
            array.unit_busy.eq(self.array_busy),
            array.unit_error.eq(self.array_error),
            self.start_array.valid.eq(array.o_record.valid),
            array.o_record.ready.eq(self.start_array.ready),
            self.start_array.p.addr.eq(array.o_record.p.addr),
            self.start_array.p.count.eq(1),
            self.start_array.p.list_range.eq(array.o_record.p.list_range),
        ]
