"""Sequencer of passes: read a list of descriptors, check them, hold the one that runs."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS, ranges_layout
from gscn.hw.core.pass_checker import PassChecker
from gscn.hw.layouts import burst_layout, list_range_layout
from gscn.pass_errors import PASS_ERROR_WIDTH
from gscn.passes import DESCRIPTOR_BYTES
from gscn.port import ALIGNMENT_BYTES


def pass_list_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a list of passes: byte address, a multiple of 64, and passes, at least 1."""
    return data.StructLayout({"addr": config.addr_width, "count": 32})


def listed_passes_layout(config: ArrayConfig) -> data.StructLayout:
    """Return passes one behind the other, and the list that they are of.

    Results must not meet any of the list.
    """
    return data.StructLayout(
        {"addr": config.addr_width, "count": 32, "list_range": list_range_layout(config)}
    )


class PassSequencer(wiring.Component):
    """Start the passes of a list one after the other.

    A pass is started as soon as its descriptor has been read and checked and the pass before is
    over. The next descriptor is read and checked meanwhile, so that the list must not change from
    its start on. A bad descriptor is reported in the place of its pass, which is not started, nor
    is any after it.

    Golden: `emulator.pass_checks` (errors), `cycles.passes` (time).

    Timing
    ------
    - Latency: `FETCH_LATENCY` from `start_list` to `command`; `START_LATENCY` from `running` to
      `start`.
    - Throughput: one pass per descriptor read and checked.
    - Combinational: `running` -> `start_list.ready`, `error`.
    - Reset: no list; outputs 0, but `start_list.ready` = 1, `number` = 0xffffffff and `d`
      undefined.

    Parameters
    ----------
    config
        Address width, memory port; what is checked.

    Attributes
    ----------
    start_list : In(stream.Signature(listed_passes_layout(config)))
        Lists of passes.
    halt : In(1)
        There was an error; no further pass is started.
    running : In(1)
        A pass is under way.
    start : Out(1)
        A pass begins (pulse); `running` must rise in the next cycle.
    d : Out(PASS)
        Its descriptor, from `start` to the next one.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    data : In(config.mem_width)
        Their beats.
    data_valid : In(1)
        `data` is a beat.
    busy : Out(1)
        Passes are left to be started, or one is started.
    number : Out(32)
        Of the pass under way in its list, or else the last one; all ones before the first.
    error : Out(PASS_ERROR_WIDTH)
        What is wrong with the descriptor of the next pass, from when it would be started.
    """

    FETCH_LATENCY = 1
    START_LATENCY = 1

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "start_list": In(stream.Signature(listed_passes_layout(config))),
                "halt": In(1),
                "running": In(1),
                "start": Out(1),
                "d": Out(PASS),
                "command": Out(stream.Signature(burst_layout(config))),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "busy": Out(1),
                "number": Out(32, init=0xFFFFFFFF),
                "error": Out(PASS_ERROR_WIDTH),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.checker = checker = PassChecker(config=config)
        # bursts lie within aligned blocks of the least alignment of a list
        beats = DESCRIPTOR_BYTES // config.mem_bytes
        burst_beats = min(config.burst_beats, max(1, ALIGNMENT_BYTES // config.mem_bytes))
        unit = (burst_beats * config.mem_bytes).bit_length() - 1

        left = Signal(32)
        asks = Signal(range(beats + 1))  # bursts still to ask for
        due = Signal(range(beats + 1))  # beats still to come
        burst = Signal(config.addr_width - unit, reset_less=True)
        following = Signal(PASS, reset_less=True)
        held = Signal(PASS, reset_less=True)
        list_range = Signal(ranges_layout(), reset_less=True)
        idle, there, starts, fetches = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.d.eq(held),
            self.command.valid.eq(asks != 0),
            self.command.p.addr.eq(burst << unit),
            self.command.p.beats.eq(burst_beats),
            checker.d.eq(following),
            checker.start.eq(self.data_valid & (due == 1)),
            checker.list_range.eq(list_range),
            idle.eq(~self.running & ~self.start),
            there.eq((left != 0) & checker.checked & idle),
            self.error.eq(Mux(there, checker.error, 0)),
            starts.eq(there & (checker.error == 0) & ~self.halt),
            self.busy.eq((left != 0) | self.start),
            self.start_list.ready.eq((left == 0) & idle),
        ]

        # -- the next descriptor comes in at the top and moves down
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += [asks.eq(asks - 1), burst.eq(burst + 1)]
        with m.If(self.data_valid):
            m.d.sync += [
                due.eq(due - 1),
                following.eq(Cat(following.as_value(), self.data)[config.mem_width :]),
            ]

        # -- passes
        m.d.sync += self.start.eq(starts)
        with m.If(starts):
            m.d.sync += [held.eq(following), left.eq(left - 1), self.number.eq(self.number + 1)]
            m.d.comb += fetches.eq(left != 1)
        with m.If(self.start_list.valid & self.start_list.ready):
            m.d.comb += fetches.eq(self.start_list.p.count != 0)
            m.d.sync += [
                left.eq(self.start_list.p.count),
                self.number.eq(0xFFFFFFFF),
                burst.eq(self.start_list.p.addr[unit:]),
                list_range.begin.eq(self.start_list.p.list_range.begin),
                list_range.end.eq(self.start_list.p.list_range.end),
            ]
        m.d.comb += checker.forget.eq(fetches)
        with m.If(fetches):
            m.d.sync += [asks.eq(beats // burst_beats), due.eq(beats)]
        return m
