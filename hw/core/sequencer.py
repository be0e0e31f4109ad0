"""Sequencer: start the phases of a list one after the other, without the host."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import records
from gscn.config import ALIGNMENT_BITS, AcceleratorConfig
from gscn.error_codes import ERROR_WIDTH, ErrorCode
from gscn.hw.checks import Checks, first_error, is_bad_address
from gscn.hw.core.dispatcher import JOB_BITS, start_layout
from gscn.hw.layouts import PHASE_DESCRIPTOR, burst_layout

DESCRIPTOR_BYTES = records.PHASE_DESCRIPTOR.width // 8
USED_WIDTH = sum(f.width for f in records.PHASE_DESCRIPTOR.fields if "reserved" not in f.name)
"""Low bits of a phase descriptor that say something."""


def list_layout(config: AcceleratorConfig) -> data.StructLayout:
    """Return a list of phases: byte address, a multiple of 64, and phases, at least 1."""
    return data.StructLayout({"phases_addr": config.addr_width, "phase_count": 32})


def phase_checks(
    queue_addr: Value, job_count: Value, out_addr: Value, out_end: Value, config: AcceleratorConfig
) -> Checks:
    """Return the checks of a phase, of which a list and the registers say the same.

    Parameters
    ----------
    queue_addr, job_count, out_addr, out_end
        As in `gscn.records.PHASE_DESCRIPTOR`; addresses of 64 bits.
    config
        Sizes.
    """
    return (
        (ErrorCode.START_ADDRESS, is_bad_address(queue_addr, config)),
        (ErrorCode.START_JOBS, job_count[:JOB_BITS] == 0),
        (
            ErrorCode.START_RANGE,
            out_addr[:ALIGNMENT_BITS].any()
            | out_end[:ALIGNMENT_BITS].any()
            | (out_addr > out_end)
            | (out_end > 1 << config.addr_width),
        ),
    )


class Sequencer(wiring.Component):
    """Hand phases on to the dispatcher: those started by themselves, or those of a list.

    A list is an array of phase descriptors. Each phase of it is handed on as soon as its descriptor
    is there and the phase before is over; the descriptor of the next one is fetched meanwhile, so
    that the list must not change from its start on. A bad descriptor is reported in the place of
    its phase, which is not handed on, nor is any after it.

    Of a list, `busy` is high from the cycle after `start_list` was taken until the one in which the
    last phase is handed on. The first burst is also offered `FETCH_LATENCY` after a phase was
    handed on, and one in every cycle in which one is taken; a phase is handed on `START_LATENCY`
    after the last beat of its descriptor, or in the first cycle in which the dispatcher is ready
    again.

    Golden: `emulator.validation.validate_list` (errors), `cycles.model` (time).

    Timing
    ------
    - Latency: `LATENCY` from `start` to `o`; `FETCH_LATENCY` from `start_list` to `command`;
      `START_LATENCY` from `data_valid` to `o`.
    - Throughput: one phase per cycle by itself, one per descriptor of a list.
    - Combinational: `start.valid`, `o.ready`, `halt` -> `o.valid`; `start.p` -> `o.p`; `o.ready` ->
      `start.ready`, `start_list.ready`, `phase`, `error`; `start.valid` -> `start_list.ready`.
    - Reset: no list; outputs 0, but `phase` = 0xffffffff.

    Parameters
    ----------
    config
        Address width, memory port.

    Attributes
    ----------
    start : In(stream.Signature(start_layout(config)))
        Phases started by themselves; taken only if no list is under way.
    start_list : In(stream.Signature(list_layout(config)))
        Lists; taken only if `start` offers nothing.
    o : Out(stream.Signature(start_layout(config)))
        Phases, to the dispatcher.
    halt : In(1)
        There was an error; no further phase of the list is handed on.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    data : In(min(config.mem_width, USED_WIDTH))
        Their beats, without the bits that no descriptor uses.
    data_valid : In(1)
        `data` is a beat.
    busy : Out(1)
        Phases of a list are left to be handed on.
    phase : Out(32)
        Number in its list of the phase under way, or waited for, or else of the last one; all ones
        for a phase started by itself.
    error : Out(ERROR_WIDTH)
        What is wrong with the descriptor of the phase waited for, or 0.
    """

    FETCH_LATENCY = 1
    START_LATENCY = 1
    LATENCY = 0

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "start": In(stream.Signature(start_layout(config))),
                "start_list": In(stream.Signature(list_layout(config))),
                "o": Out(stream.Signature(start_layout(config))),
                "halt": In(1),
                "command": Out(stream.Signature(burst_layout(config))),
                "data": In(min(config.mem_width, USED_WIDTH)),
                "data_valid": In(1),
                "busy": Out(1),
                "phase": Out(32),
                "error": Out(ERROR_WIDTH),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        # both powers of two, and descriptors aligned: no burst crosses a multiple of the longest
        beats = DESCRIPTOR_BYTES // config.mem_bytes
        burst_beats = min(beats, config.burst_beats)
        burst_bytes = burst_beats * config.mem_bytes

        left = Signal(32)
        number = Signal(32)  # of the phase that is handed on next
        asks = Signal(range(beats + 1))  # bursts still to ask for
        due = Signal(range(beats + 1))  # beats still to come
        unit = burst_bytes.bit_length() - 1
        burst = Signal(config.addr_width - unit)
        used = Signal(USED_WIDTH)
        descriptor = data.View(
            PHASE_DESCRIPTOR, Cat(used, Const(0, PHASE_DESCRIPTOR.size - USED_WIDTH))
        )
        names = ("queue_addr", "job_count", "out_addr", "out_end")
        fields = {name: descriptor[name] for name in names}

        # -- the descriptor: used only while none of its beats is due
        there = Signal()
        m.d.comb += [
            there.eq((left != 0) & (due == 0)),
            self.command.valid.eq(asks != 0),
            self.command.p.addr.eq(burst << unit),
            self.command.p.beats.eq(burst_beats),
        ]
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += [asks.eq(asks - 1), burst.eq(burst + 1)]
        with m.If(self.data_valid):
            m.d.sync += due.eq(due - 1)
        for beat in range(-(-USED_WIDTH // config.mem_width)):
            with m.If(self.data_valid & (due == beats - beat)):
                kept = used.word_select(beat, config.mem_width)
                m.d.sync += kept.eq(self.data)

        # -- phases
        listed = Signal()  # the next phase is one of a list
        m.d.comb += [
            listed.eq(left != 0),
            self.busy.eq(listed),
            self.phase.eq(Mux(listed & self.o.ready, number, number - 1)),
        ]
        with m.If(there & self.o.ready):
            m.d.comb += self.error.eq(first_error(m, phase_checks(**fields, config=config)))
        with m.If(listed):
            m.d.comb += self.o.valid.eq(there & (self.error == ErrorCode.NONE) & ~self.halt)
            m.d.comb += [self.o.p[name].eq(field) for name, field in fields.items()]
        with m.Else():
            m.d.comb += [
                self.o.valid.eq(self.start.valid),
                self.o.p.eq(self.start.p),
                self.start.ready.eq(self.o.ready),
                self.start_list.ready.eq(self.o.ready & ~self.start.valid),
            ]

        fetches = Signal()
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += number.eq(Mux(listed, number + 1, 0))
            with m.If(listed):
                m.d.sync += left.eq(left - 1)
                m.d.comb += fetches.eq(left != 1)
        with m.If(self.start_list.valid & self.start_list.ready):
            m.d.comb += fetches.eq(self.start_list.p.phase_count != 0)
            m.d.sync += [
                left.eq(self.start_list.p.phase_count),
                number.eq(0),
                burst.eq(self.start_list.p.phases_addr[unit:]),
            ]
        with m.If(fetches):
            m.d.sync += [asks.eq(beats // burst_beats), due.eq(beats)]
        return m
