"""The whole machine: array, encode unit and the sequencer of lists, on the same memory."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.control import Queue
from gscn.counters import COUNTER_WIDTH
from gscn.hw.core.list_sequencer import answer_layout, list_layout
from gscn.hw.core.listed_array import STICKY, ListedArray
from gscn.hw.encode.unit import EncodeUnit
from gscn.hw.layouts import memory_port_members
from gscn.pass_errors import PASS_ERROR_WIDTH
from gscn.port import port_names


class Machine(wiring.Component):
    """Run lists of passes of both kinds and of control records: a training step for each start.

    The encode unit and the sequencer share the first memory port with the array.

    Implements: `docs/contract/lists.md`.
    Golden: `emulator.lists`.

    Timing
    ------
    - Latency: `COUNTER_LATENCY` from `counter_addr` to `counter_data`. Lists are as late as those
      of `ListSequencer`.
    - Throughput: that of its parts.
    - Combinational: none.
    - Reset: no list; outputs 0, but `start.ready` = 1.

    Parameters
    ----------
    config
        Sizes; its encode unit has floating point if there are float formats, else integers.

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

    COUNTER_LATENCY = ListedArray.COUNTER_LATENCY

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
                **ports,
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.listed = listed = ListedArray(config=self.config)
        m.submodules.encode = encode = EncodeUnit(config=self.config)
        port = listed.encode
        wiring.connect(m, listed.start_encode, encode.start)
        m.d.comb += [
            listed.encode_busy.eq(encode.busy),
            listed.encode_error.eq(encode.error),
            encode.mem_write_done.eq(port.mem_write_done),
        ]
        for channel in ("mem_read_cmd", "mem_read_data", "mem_write_cmd", "mem_write_data"):
            wiring.connect(m, getattr(encode, channel), getattr(port, channel))
        for name, member in self.signature.members.items():
            own, inside = getattr(self, name), getattr(listed, name)
            if member.is_signature:
                wiring.connect(m, wiring.flipped(own), inside)
            elif name == "record_addrs":
                m.d.comb += [a.eq(b) for a, b in zip(own, inside, strict=True)]
            elif member.flow == Out:
                m.d.comb += own.eq(inside)
            else:
                m.d.comb += inside.eq(own)
        return m
