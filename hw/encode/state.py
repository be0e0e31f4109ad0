"""The state of an encode pass: read at its start, adapted and written at its end."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import Adapt
from gscn.formats import BF16, FLOAT32
from gscn.hw.encode.selection import CHOICE
from gscn.hw.encode.unit_layouts import LINE_BYTES, STATE, TALLY, settings_layout
from gscn.hw.layouts import burst_layout, write_beat_layout
from gscn.port import ALIGNMENT_BITS

_FLOAT32 = 2
"""Number of the wider format."""


class EncodeState(wiring.Component):
    """Hold the state of a pass: read it, and at the end adapt it and write it.

    Implements: "The state" of `docs/contract/encode.md`, floating point.
    Golden: `emulator.encode._Pass`.

    Timing
    ------
    - Latency: `LATENCY` from `finish` to `write_command` and `write_data`.
    - Throughput: one state at a time; bursts are of at most 64 bytes.
    - Combinational: `settings` -> addresses of `command` and `write_command`.
    - Reset: no state, nothing asked for; outputs 0, but `state` meaningless.

    Parameters
    ----------
    config
        Port.

    Attributes
    ----------
    settings : In(settings_layout(config))
        Of the pass; held from `start` to `done`.
    start : In(1)
        Read the state (pulse); only while none is read or written.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    data : In(config.mem_width)
        Their beats.
    data_valid : In(1)
        `data` is a beat.
    filled : Out(1)
        `state` is there, until `start`.
    state : Out(STATE)
        The state as it was read, until `finish`.
    finish : In(1)
        All else of the pass is in memory; adapt and write (pulse).
    tally : In(TALLY)
        What was counted; held with `finish`.
    halfwords_a, halfwords_b : In(32)
        Of strips, likewise.
    choice : In(CHOICE)
        Of a selection, likewise.
    write_command : Out(stream.Signature(burst_layout(config)))
        Bursts to write.
    write_data : Out(stream.Signature(write_beat_layout(config)))
        Their beats.
    write_done : In(1)
        A burst of the state is in memory (pulse).
    done : Out(1)
        The state is in memory, until `start`.
    """

    LATENCY = 1

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "start": In(1),
                "command": Out(stream.Signature(burst_layout(config))),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "filled": Out(1),
                "state": Out(STATE),
                "finish": In(1),
                "tally": In(TALLY),
                "halfwords_a": In(32),
                "halfwords_b": In(32),
                "choice": In(CHOICE),
                "write_command": Out(stream.Signature(burst_layout(config))),
                "write_data": Out(stream.Signature(write_beat_layout(config))),
                "write_done": In(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        beats = LINE_BYTES // config.mem_bytes
        burst_beats = min(config.burst_beats, beats)
        bursts = beats // burst_beats
        unit = (burst_beats * config.mem_bytes).bit_length() - 1
        first = self.settings.state_addr[ALIGNMENT_BITS:] << ALIGNMENT_BITS
        held = Signal(STATE, reset_less=True)
        asked, came = Signal(range(bursts + 1), init=bursts), Signal(range(beats + 1))
        told, sent = Signal.like(asked), Signal(range(beats + 1), init=beats)
        written = Signal.like(asked)
        beat = self.write_data
        m.d.comb += [
            self.state.eq(held),
            self.command.valid.eq(asked != bursts),
            self.command.p.addr.eq(first + (asked << unit)),
            self.command.p.beats.eq(burst_beats),
            self.filled.eq(came == beats),
            self.write_command.valid.eq(told != bursts),
            self.write_command.p.addr.eq(first + (told << unit)),
            self.write_command.p.beats.eq(burst_beats),
            beat.valid.eq(sent != beats),
            beat.p.data.eq(held.as_value()[: config.mem_width]),
            beat.p.strobe.eq(~0),
            self.done.eq(written == bursts),
        ]
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += asked.eq(asked + 1)
        with m.If(self.write_command.valid & self.write_command.ready):
            m.d.sync += told.eq(told + 1)
        with m.If(self.write_done):
            m.d.sync += written.eq(written + 1)
        # beats come in at the top and move down, and so they go out
        moved = Cat(held.as_value(), self.data)[config.mem_width :]
        with m.If(self.data_valid):
            m.d.sync += [came.eq(came + 1), held.eq(moved)]
        with m.If(beat.valid & beat.ready):
            m.d.sync += [sent.eq(sent + 1), held.eq(moved)]
        with m.If(self.finish):
            m.d.sync += [told.eq(0), sent.eq(0)]
            self._adapt(m, held)
        with m.If(self.start):
            m.d.sync += [asked.eq(0), came.eq(0), written.eq(0)]
        return m

    def _adapt(self, m, held):
        """Count, and make the thresholds of the next pass."""
        s = self.settings
        wide = s.out_format == _FLOAT32
        least, most = (
            Mux(wide, of(FLOAT32), of(BF16))
            for of in (lambda f: 1 << f.mantissa_width, lambda f: f.infinity - 1)
        )
        lower, higher = Signal(signed(34)), Signal(34)
        m.d.comb += [
            lower.eq(held.threshold_a - held.step),
            higher.eq(held.threshold_a + held.step),
        ]
        prefix = Signal(32)
        before = Mux(s.adapt == Adapt.SELECT_FIRST, 0, held.prefix)
        m.d.comb += prefix.eq((before << s.bin_bits[:4]) | self.choice.bin)
        with m.Switch(s.adapt):
            with m.Case(Adapt.STEP):
                with m.If(self.tally.kept_a < held.low):
                    m.d.sync += held.threshold_a.eq(Mux(lower < least, least, lower))
                with m.Elif(self.tally.kept_a > held.high):
                    m.d.sync += held.threshold_a.eq(Mux(higher > most, most, higher))
            with m.Case(Adapt.SELECT_FIRST, Adapt.SELECT_NEXT):
                m.d.sync += [
                    held.prefix.eq(prefix),
                    held.rank.eq(self.choice.rank),
                    held.threshold_a.eq(prefix << s.bin_shift[:5]),
                ]
        for name in TALLY.members:
            m.d.sync += held[name].eq(self.tally[name])
        for part in "ab":
            with m.If(s[f"{part}_end"] != s[f"{part}_data"]):
                m.d.sync += held[f"{part}_halfwords"].eq(getattr(self, f"halfwords_{part}"))
