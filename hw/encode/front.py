"""What comes before and after the vectors of an encode pass: its record, its state, its walk."""

from __future__ import annotations

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need
from gscn.hw.encode.encode_walk import EncodeWalk
from gscn.hw.encode.record import EncodeRecord
from gscn.hw.encode.record_machine import RecordMachine
from gscn.hw.encode.record_program import HELD, HELD_NAMES, KEPT_OF_STATE, SETTINGS, Entry
from gscn.hw.encode.selection import CHOICE
from gscn.hw.encode.unit_layouts import STATE, TALLY, place_layout, settings_layout
from gscn.hw.layouts import burst_layout, list_range_layout, listed_record_layout, write_beat_layout
from gscn.pass_errors import PASS_ERROR_WIDTH


class EncodeFront(wiring.Component):
    """Take a record, check it, read its state, walk; at the end adapt and write the state.

    One memory has the record and the state, one accumulator looks at them, and only what parts of
    the unit want while they run is in registers.

    Golden: `emulator.encode_checks.check_encode`, `emulator.encode_walk.Walk`.

    Timing
    ------
    - Latency: `LATENCY` from `start` to `command`. The record and the state are read, and 450 to
      1,000 cycles are between; the walk begins with `begin`.
    - Throughput: one vector per cycle.
    - Combinational: none.
    - Reset: idle; outputs 0, but `start.ready` = 1 and `settings`, `state`, `columns` meaningless.

    Parameters
    ----------
    config
        Port.
    integers
        The unit has integers, and no floating point.

    Attributes
    ----------
    start : In(stream.Signature(listed_record_layout(config)))
        A pass.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    data : In(config.mem_width)
        Their beats.
    data_valid : In(1)
        `data` is a beat.
    write_command : Out(stream.Signature(burst_layout(config)))
        Bursts of the state to write.
    write_data : Out(stream.Signature(write_beat_layout(config)))
        Their beats.
    write_done : In(1)
        A burst of these is in memory (pulse).
    settings : Out(settings_layout(config))
        Of the pass, from `begin` on. If it has only a second combination, both ends of the dense
        range are that one's first address, as addresses of stream dense are relative to it then.
    state : Out(STATE)
        What is in use while a pass runs, likewise: `record_program.KEPT_OF_STATE`, and `keep`,
        which is then `rank`; other fields are 0.
    columns : Out(32)
        Groups of the pass, likewise.
    begin : Out(1)
        The pass begins (pulse).
    o : Out(stream.Signature(place_layout(config)))
        Vectors.
    finish : In(1)
        All results are in memory (pulse).
    give_up : In(1)
        There was an error, and no part of the unit does anything more (pulse).
    tally : In(TALLY)
        What was counted; held from `finish` on while `busy`.
    halfwords : In(data.ArrayLayout(32, 2))
        Of strips A and B, likewise.
    choice : In(CHOICE)
        Of a selection, likewise.
    busy : Out(1)
        There is a pass.
    error : Out(PASS_ERROR_WIDTH)
        What is wrong with the record of the last pass, until the next one.
    """

    LATENCY = 1

    def __init__(self, *, config: ArrayConfig, integers: bool = False):
        need(self, "integers", integers, isinstance(integers, bool), "True or False")
        self.config, self._integers = config, integers
        command = stream.Signature(burst_layout(config))
        super().__init__(
            {
                "start": In(stream.Signature(listed_record_layout(config))),
                "command": Out(command),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "write_command": Out(command),
                "write_data": Out(stream.Signature(write_beat_layout(config))),
                "write_done": In(1),
                "settings": Out(settings_layout(config)),
                "state": Out(STATE),
                "columns": Out(32),
                "begin": Out(1),
                "o": Out(stream.Signature(place_layout(config))),
                "finish": In(1),
                "give_up": In(1),
                "tally": In(TALLY),
                "halfwords": In(data.ArrayLayout(32, 2)),
                "choice": In(CHOICE),
                "busy": Out(1),
                "error": Out(PASS_ERROR_WIDTH),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.record = record = EncodeRecord(config=self.config)
        m.submodules.machine = machine = RecordMachine(config=self.config, integers=self._integers)
        walk = EncodeWalk(config=self.config)
        m.submodules.walk = ResetInserter(self.give_up)(walk)
        wiring.connect(m, record.command, wiring.flipped(self.command))
        wiring.connect(m, record.write_command, wiring.flipped(self.write_command))
        wiring.connect(m, record.write_data, wiring.flipped(self.write_data))
        wiring.connect(m, walk.o, wiring.flipped(self.o))
        list_range = Signal(list_range_layout(self.config), reset_less=True)
        m.d.comb += [
            record.data.eq(self.data),
            record.data_valid.eq(self.data_valid),
            record.write_done.eq(self.write_done),
            record.place.eq(machine.place),
            record.en.eq(machine.en),
            machine.value.eq(record.value),
            machine.list_range.eq(list_range),
            machine.tally.eq(self.tally),
            machine.halfwords.eq(self.halfwords),
            machine.choice.eq(self.choice),
            walk.settings.eq(self.settings),
            walk.start.eq(self.begin),
        ]
        self._hold(m, record, machine, walk)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [
                    self.start.ready.eq(1),
                    record.addr.eq(self.start.p.addr),
                    record.start.eq(self.start.valid),
                ]
                with m.If(self.start.valid):
                    m.d.sync += [list_range.eq(self.start.p.list_range), self.error.eq(0)]
                    m.next = "RECORD"
            with m.State("RECORD"), m.If(record.filled):
                m.d.comb += [machine.entry.eq(Entry.CHECK), machine.start.eq(1)]
                m.next = "CHECK"
            with m.State("CHECK"), m.If(machine.done):
                m.d.sync += self.error.eq(machine.error)
                m.d.comb += [
                    record.addr.eq(self.settings.state_addr),
                    record.of_state.eq(1),
                    record.start.eq(machine.error == 0),
                ]
                m.next = "STATE"
                with m.If(machine.error != 0):
                    m.next = "IDLE"
            with m.State("STATE"), m.If(record.filled):
                m.d.comb += [machine.entry.eq(Entry.OPEN), machine.start.eq(1)]
                m.next = "OPEN"
            with m.State("OPEN"), m.If(machine.done):
                m.d.comb += self.begin.eq(1)
                m.next = "PASS"
            with m.State("PASS"):
                m.d.comb += [machine.entry.eq(Entry.CLOSE), machine.start.eq(self.finish)]
                with m.If(self.finish):
                    m.next = "CLOSE"
                with m.If(self.give_up):
                    m.next = "IDLE"
            with m.State("CLOSE"), m.If(machine.done):
                m.d.comb += record.send.eq(1)
                m.next = "SEND"
            with m.State("SEND"), m.If(record.written):
                m.next = "IDLE"
        m.d.comb += self.busy.eq(~self.start.ready)
        return m

    def _hold(self, m, record, machine, walk):
        """Take what the machine sends to where it is wanted."""
        kind, number = machine.sent.place[:2], machine.sent.place[2:9]
        held = machine.sent_en & (kind == HELD) & ~machine.sent.place[9]
        limits = Signal(data.ArrayLayout(16, 2), reset_less=True)
        columns = Signal(32, reset_less=True)
        settings = Signal(self.settings.shape(), reset_less=True)
        state = Signal(data.ArrayLayout(32, len(KEPT_OF_STATE)), reset_less=True)
        m.d.comb += [
            walk.field.kind.eq(kind),
            walk.field.number.eq(number[:3]),
            walk.field.row.eq(number[3:]),
            walk.field.value.eq(machine.sent.value),
            walk.field_en.eq(machine.sent_en & (kind != HELD) & ~machine.sent.place[9]),
            walk.limits.eq(limits),
            record.word.number.eq(machine.sent.place),
            record.word.value.eq(machine.sent.value),
            record.word_en.eq(machine.sent_en & machine.sent.place[9]),
            self.settings.eq(settings),
            self.columns.eq(columns),
        ]
        targets = [*(settings[name] for name in SETTINGS), *limits, columns, *state]
        assert len(targets) == len(HELD_NAMES)
        for place, target in enumerate(targets):
            with m.If(held & (number == place)):
                m.d.sync += target.eq(machine.sent.value)
        for name, value in zip(KEPT_OF_STATE, state, strict=True):
            m.d.comb += self.state[name].eq(value)
        m.d.comb += self.state.keep.eq(self.state.rank)
