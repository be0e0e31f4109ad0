"""Array and encode unit behind one sequencer of lists and one memory port."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.control import Queue
from gscn.counters import COUNTER_WIDTH
from gscn.hw.core.array import Array
from gscn.hw.core.list_sequencer import ListSequencer, answer_layout, list_layout
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import listed_record_layout, memory_port_members, write_beat_layout
from gscn.hw.port.arbiter import ReadArbiter
from gscn.hw.port.write_merger import WriteMerger
from gscn.pass_errors import PASS_ERROR_WIDTH
from gscn.port import port_names

STICKY = ("saturated", "accumulator_overflow", "nonfinite")


def encode_port(config: ArrayConfig) -> wiring.Signature:
    """Return the memory port of an encode unit, as the unit has it."""
    return wiring.Signature(memory_port_members(config, "mem"))


class ListedArray(wiring.Component):
    """Run lists of passes of both kinds: the array, a sequencer of lists, and an encode unit.

    The unit is outside: it takes passes from `start_encode` and has a memory port, which it shares
    with the sequencer and the first port of the array. With several ports the members `mem_*` are
    `mem0_*`, `mem1_*` and so on (`gscn.port.port_names`).

    Golden: `emulator.lists`.

    Timing
    ------
    - Latency: `COUNTER_LATENCY` from `counter_addr` to `counter_data`. Lists are as late as those
      of `ListSequencer`; bursts and beats of what shares a port as those of the arbiters in front.
    - Throughput: that of its parts; bursts of the unit follow each other without a pause.
    - Combinational: `mem_read_data` -> `encode.mem_read_data`; `mem_write_done` ->
      `encode.mem_write_done`; `mem_write_data.ready`, `encode.mem_write_cmd.valid` ->
      `encode.mem_write_cmd.ready`; `encode.mem_read_cmd` -> `encode.mem_read_cmd.ready`.
    - Reset: no list; outputs 0, but `start.ready` = 1 and `encode.mem_write_data.ready` = 1.

    Parameters
    ----------
    config
        Sizes.

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
    saturated, accumulator_overflow, nonfinite : Out(1)
        Of the array; sticky until reset.
    counter_addr : In(16)
        Of the array.
    counter_data : Out(COUNTER_WIDTH)
        Of the array.
    start_encode : Out(stream.Signature(listed_record_layout(config)))
        Passes for the encode unit.
    encode_busy : In(1)
        A pass is under way, from the cycle after it was taken on.
    encode_error : In(PASS_ERROR_WIDTH)
        Of the unit, which stays busy; 0: none.
    encode : In(encode_port(config))
        The unit's memory port.
    mem_read_cmd : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    mem_read_data : In(read_beats(config))
        Beats read, in the order of the commands, taken at once.
    mem_write_cmd : Out(stream.Signature(burst_layout(config)))
        Bursts to write.
    mem_write_data : Out(stream.Signature(write_beat_layout(config)))
        Their beats, in order; may come before or after the command.
    mem_write_done : In(1)
        A write burst is complete (pulse, one per burst).
    """

    COUNTER_LATENCY = Array.COUNTER_LATENCY
    BEATS_DEPTH = 2
    """Beats of the unit that may wait for their command."""

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        ports = {}
        for name in port_names("mem", config.ports):
            ports |= memory_port_members(config, name)
        super().__init__(
            {
                "start": In(stream.Signature(list_layout(config))),
                "busy": Out(1),
                "stop": Out(32),
                "answer": In(stream.Signature(answer_layout(config))),
                "error": Out(PASS_ERROR_WIDTH),
                "error_addr": Out(config.addr_width),
                "record_addrs": Out(config.addr_width).array(len(Queue)),
                **{flag: Out(1) for flag in STICKY},
                "counter_addr": In(16),
                "counter_data": Out(COUNTER_WIDTH),
                "start_encode": Out(stream.Signature(listed_record_layout(config))),
                "encode_busy": In(1),
                "encode_error": In(PASS_ERROR_WIDTH),
                "encode": In(encode_port(config)),
                **ports,
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.array = array = Array(config=config, listed=True)
        m.submodules.sequencer = sequencer = ListSequencer(config=config)
        wiring.connect(m, sequencer.start_array, array.start_list)
        wiring.connect(m, wiring.flipped(self.start), sequencer.start)
        wiring.connect(m, wiring.flipped(self.answer), sequencer.answer)
        wiring.connect(m, sequencer.start_encode, wiring.flipped(self.start_encode))
        m.d.comb += [
            sequencer.array_busy.eq(array.busy),
            sequencer.array_error.eq(array.error_code),
            sequencer.encode_busy.eq(self.encode_busy),
            sequencer.encode_error.eq(self.encode_error),
            array.counter_addr.eq(self.counter_addr),
            self.counter_data.eq(array.counter_data),
            *(getattr(self, flag).eq(getattr(array, flag)) for flag in STICKY),
            *(
                getattr(self, name).eq(getattr(sequencer, name))
                for name in ("busy", "stop", "error", "error_addr")
            ),
            *(
                own.eq(one)
                for own, one in zip(self.record_addrs, sequencer.record_addrs, strict=True)
            ),
        ]
        names = port_names("mem", config.ports)
        encode = wiring.flipped(self.encode)
        self._share_port(m, names[0], [(array, names[0]), (sequencer, "mem"), (encode, "mem")])
        # The unit offers a line's beat with its command, and the merger takes it a cycle later.
        m.submodules.beats = beats = StreamFIFO(
            shape=write_beat_layout(config), depth=self.BEATS_DEPTH
        )
        wiring.connect(m, encode.mem_write_data, beats.i)
        wiring.connect(m, beats.o, m.submodules.writes.beats[-1])
        for name in names[1:]:
            for suffix in ("read_cmd", "read_data", "write_cmd", "write_data"):
                member = f"{name}_{suffix}"
                wiring.connect(m, getattr(array, member), wiring.flipped(getattr(self, member)))
            m.d.comb += getattr(array, f"{name}_write_done").eq(getattr(self, f"{name}_write_done"))
        return m

    def _share_port(self, m, name, users):
        """Merge ports into one, but for the beats that the last user writes.

        `users` are components, each with its port's name.
        """
        m.submodules.reads = reads = ReadArbiter(config=self.config, count=len(users))
        m.submodules.writes = writes = WriteMerger(config=self.config, count=len(users))
        own = {
            suffix: getattr(self, f"{name}_{suffix}")
            for suffix in ("read_cmd", "read_data", "write_cmd", "write_data", "write_done")
        }
        wiring.connect(m, reads.command, wiring.flipped(own["read_cmd"]))
        wiring.connect(m, writes.command, wiring.flipped(own["write_cmd"]))
        wiring.connect(m, writes.data, wiring.flipped(own["write_data"]))
        m.d.comb += [reads.data_valid.eq(own["read_data"].valid), writes.done.eq(own["write_done"])]
        for number, (user, its_name) in enumerate(users):
            taken = [("read_cmd", reads.channels), ("write_cmd", writes.commands)]
            if number < len(users) - 1:
                taken.append(("write_data", writes.beats))
            for suffix, channels in taken:
                wiring.connect(m, getattr(user, f"{its_name}_{suffix}"), channels[number])
            data = getattr(user, f"{its_name}_read_data")
            m.d.comb += [
                data.payload.eq(own["read_data"].payload),
                data.valid.eq(reads.channel_valid[number]),
                getattr(user, f"{its_name}_write_done").eq(writes.channel_done[number]),
            ]
