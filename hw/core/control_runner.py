"""Control records: wait for the other queue and the host, then set tops of windows."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.control import CONTROL_RECORD, LINKS, Queue
from gscn.encode import ENCODE_STATE, EncodeError
from gscn.hw.checks import is_bad_address
from gscn.hw.layouts import burst_layout, write_beat_layout
from gscn.hw.ram import Ram
from gscn.pass_errors import PASS_ERROR_WIDTH
from gscn.passes import DESCRIPTOR_BYTES
from gscn.port import ALIGNMENT_BYTES
from gscn.window import MOST_TOP

WORD_BYTES = 8
"""A record is looked at word by word: no field lies in two."""
TARGET, FIRST, SECOND, MARGIN = range(4)
"""Fields of a link; the last one lies behind those of all links."""
_TOTAL = 20
"""Bits of a signed sum of a margin and two exponent fields of 16 bits."""


def _place(name: str) -> tuple[int, int]:
    """Return the word of a control record that a field is in, and the byte in it."""
    return divmod(int(CONTROL_RECORD.dtype.fields[name][1]), WORD_BYTES)


_LINKS_WORD, _LINKS_BYTE = _place("links")
_QUEUE_BYTE, _WAIT_BYTE = _place("queue")[1], _place("wait")[1]
_STOP_WORD, _STOP_BYTE = _place("stop")
_MARGIN_WORD = _place("margin0")[0]
_GAP = _STOP_WORD - _LINKS_WORD + 1
"""Words between links."""
_BEFORE_GAP = _LINKS_WORD // MARGIN
"""Links before them."""
_LARGEST_PLACE = int(ENCODE_STATE.dtype.fields["largest"][1])


class ControlRunner(wiring.Component):
    """Do what a control record says.

    The record is read while `en` is high. If what it waits for had not ended when it was read, it
    is read once more when that has: records waited for may change it. A record that waits, or
    whose stop the host has not been told, can be cancelled: it has not begun.

    Golden: `emulator.lists`, `emulator.list_records.check_control`.

    Timing
    ------
    - Latency: `COMMAND_LATENCY` from `en` to `command`; `DONE_LATENCY` from `write_done` to
      `done`.
    - Throughput: one record at a time; one link at a time, whose states are read together.
    - Combinational: `addr` -> `command.p`; `answered`, `cancel`, `ended`, `told` -> `cancelled`;
      `others` -> `error`, `failed`.
    - Reset: no record; outputs 0, but `error` meaningless.

    Parameters
    ----------
    config
        Address width, memory port.

    Attributes
    ----------
    en : In(1)
        There is a record: until `done`, `cancelled` or `failed`.
    addr : In(config.addr_width)
        Its address; held.
    others : In(32)
        Records of the other queue before it in the list; held.
    ended : In(32)
        Records of the other queue that have ended.
    cancel : In(1)
        Give up what has not begun.
    done : Out(1)
        The record has ended (pulse).
    cancelled : Out(1)
        It has been given up (pulse).
    failed : Out(1)
        It has an error (pulse).
    error : Out(PASS_ERROR_WIDTH)
        Which, with `failed`.
    stop : Out(32)
        Number that the host is to be told, until `answered`; 0: none.
    told : In(1)
        The host has been told: it can no more be cancelled.
    answered : In(1)
        The host's answer (pulse).
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    data : In(config.mem_width)
        Their beats.
    data_valid : In(1)
        `data` is there.
    write_command : Out(stream.Signature(burst_layout(config)))
        Beats to write, one at a time.
    write_data : Out(stream.Signature(write_beat_layout(config)))
        Their content.
    write_done : In(1)
        The beat is in memory (pulse).
    """

    COMMAND_LATENCY = 1
    DONE_LATENCY = 1

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        command = stream.Signature(burst_layout(config))
        super().__init__(
            {
                "en": In(1),
                "addr": In(config.addr_width),
                "others": In(32),
                "ended": In(32),
                "cancel": In(1),
                "done": Out(1),
                "cancelled": Out(1),
                "failed": Out(1),
                "error": Out(PASS_ERROR_WIDTH),
                "stop": Out(32),
                "told": In(1),
                "answered": In(1),
                "command": Out(command),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "write_command": Out(command),
                "write_data": Out(stream.Signature(write_beat_layout(config))),
                "write_done": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self._link, self._field = Signal(range(LINKS + 1)), Signal(2)
        self._links = Signal(range(LINKS + 1))
        self._wait, self._known, self._stop = Signal(32), Signal(32), Signal(32)
        self._wrong, self._looked = Signal(), Signal()
        self._receives = Signal()
        """Beats are of the record, not of a state."""
        self._look_up(m)
        self._add_up(m)
        m.d.sync += self._looked.eq(0)
        m.d.comb += [
            self.command.p.addr.eq(self.addr),
            self.command.p.beats.eq(1),
        ]
        with m.FSM():
            with m.State("IDLE"), m.If(self.en):
                m.d.sync += self._known.eq(self.ended)
                m.next = "READ"
            self._read(m)
            self._check(m)
            self._wait_and_stop(m)
            self._set_tops(m)
        return m

    def _look_up(self, m):
        """Keep a record in a memory; find the word that `word` names, a cycle later."""
        words = DESCRIPTOR_BYTES // WORD_BYTES
        per_row = self.config.mem_bytes // WORD_BYTES
        rows = words // per_row
        m.submodules.record = record = Ram(shape=self.config.mem_width, depth=rows)
        write, read = record.write, record.read
        self._row = Signal(range(rows + 1))
        word, within = Signal(range(words)), Signal(range(max(per_row, 2)))
        self._word, self._seen = word, Signal(8 * WORD_BYTES)
        link_word = MARGIN * self._link + self._field + Mux(self._link >= _BEFORE_GAP, _GAP, 0)
        m.d.sync += within.eq(word[: (per_row - 1).bit_length()])
        m.d.comb += [
            write.addr.eq(self._row),
            write.data.eq(self.data),
            write.en.eq(self.data_valid & self._receives),
            word.eq(Mux(self._field == MARGIN, _MARGIN_WORD + (self._link >> 2), link_word)),
            read.addr.eq(word >> (per_row - 1).bit_length()),
            read.en.eq(1),
            self._seen.eq(read.data.word_select(within, 8 * WORD_BYTES)),
        ]

    def _seen_byte(self, place, width):
        """Return a field of the word that is seen."""
        return self._seen[8 * place : 8 * place + width]

    def _read(self, m):
        """Read the whole record, and what it begins with."""
        config = self.config
        rows = DESCRIPTOR_BYTES // config.mem_bytes
        burst_beats = min(config.burst_beats, max(1, ALIGNMENT_BYTES // config.mem_bytes))
        burst_bytes = burst_beats * config.mem_bytes
        asked = Signal(range(rows // burst_beats + 1))
        with m.State("READ"):
            m.d.comb += [
                self._receives.eq(1),
                self.command.valid.eq(asked != rows // burst_beats),
                self.command.p.addr.eq(self.addr + asked * burst_bytes),
                self.command.p.beats.eq(burst_beats),
            ]
            with m.If(self.command.valid & self.command.ready):
                m.d.sync += asked.eq(asked + 1)
            with m.If(self.data_valid):
                m.d.sync += self._row.eq(self._row + 1)
            with m.If(self._row == rows):
                m.d.sync += [asked.eq(0), self._row.eq(0)]
                m.d.comb += self._word.eq(_LINKS_WORD)
                m.next = "HEAD"
        with m.State("HEAD"):
            m.d.comb += self._word.eq(_STOP_WORD)
            links = self._seen_byte(_LINKS_BYTE, 8)
            m.d.sync += [
                self._links.eq(links),
                self._wait.eq(self._seen_byte(_WAIT_BYTE, 32)),
                self._wrong.eq(0),
                self._link.eq(0),
                self._field.eq(TARGET),
            ]
            m.next = "STOP_WORD"
            with m.If((links > LINKS) | (self._seen_byte(_QUEUE_BYTE, 8) > max(Queue))):
                self._fail(m, EncodeError.FORMAT)

    def _fail(self, m, error):
        m.d.comb += [self.failed.eq(1), self.error.eq(error)]
        m.next = "IDLE"

    def _check(self, m):
        """Look at every address, then at the order."""
        looked, what = self._looked, Signal(2)
        with m.State("STOP_WORD"):
            m.d.sync += self._stop.eq(self._seen_byte(_STOP_BYTE, 32))
            m.next = "CHECK"
            with m.If((self._wait > self._known) & (self._wait <= self.others)):
                m.next = "WAIT"
        with m.State("CHECK"):
            m.d.sync += [looked.eq(self._link != self._links), what.eq(self._field)]
            with m.If(self._link != self._links):
                m.d.sync += self._field.eq(self._field + 1)
                with m.If(self._field == SECOND):
                    m.d.sync += [self._field.eq(TARGET), self._link.eq(self._link + 1)]
            bad_target = self._seen[0] | self._seen[self.config.addr_width :].any()
            bad = Mux(what == TARGET, bad_target, is_bad_address(self._seen, self.config))
            with m.If(looked):
                m.d.sync += self._wrong.eq(self._wrong | bad)
            with m.Elif(self._link == self._links):
                m.d.sync += self._link.eq(0)
                m.next = "STOP"
                with m.If(self._wrong):
                    self._fail(m, EncodeError.ADDRESS)
                with m.Elif(self._wait > self.others):
                    self._fail(m, EncodeError.ORDER)

    def _wait_and_stop(self, m):
        """Wait for records of the other queue, and for the host."""
        with m.State("WAIT"):
            with m.If(self.cancel):
                m.d.comb += self.cancelled.eq(1)
                m.next = "IDLE"
            with m.Elif(self._wait <= self.ended):
                m.d.sync += self._known.eq(self.ended)
                m.next = "READ"
        with m.State("STOP"):
            m.d.comb += self.stop.eq(self._stop)
            with m.If((self._stop == 0) | self.answered):
                m.next = "LINK"
            with m.Elif(self.cancel & ~self.told):
                m.d.comb += self.cancelled.eq(1)
                m.next = "IDLE"

    def _add_up(self, m):
        """Keep a link's target and its sum, and offer them to be written."""
        config = self.config
        low = (config.mem_bytes - 1).bit_length()
        target, total = Signal(config.addr_width), Signal(signed(_TOTAL))
        top, comes = Signal(16), Signal()
        self._target, self._total = target, total
        self._due, self._asks = Signal(2), Signal()
        largest = self.data.word_select(_LARGEST_PLACE % config.mem_bytes // 2, 16)
        m.d.comb += [
            comes.eq(self.data_valid & ~self._receives),
            top.eq(Mux(total < 0, 0, Mux(total > MOST_TOP, MOST_TOP, total))),
            self.write_command.p.addr.eq(target & -config.mem_bytes),
            self.write_command.p.beats.eq(1),
            self.write_data.p.data.eq(top.replicate(config.mem_bytes // 2)),
            self.write_data.p.strobe.eq(3 << target[:low]),
        ]
        m.d.sync += self._due.eq(self._due + self._asks - comes)
        with m.If(comes):
            m.d.sync += total.eq(total + Mux(largest == 0, 1, largest))

    def _set_tops(self, m):
        """Sum the largest exponents of two states and a margin; write the top."""
        mem_bytes = self.config.mem_bytes
        state_beat = _LARGEST_PLACE // mem_bytes * mem_bytes

        def go_on(field):
            m.d.sync += self._field.eq(field)
            m.next = "LINK"

        with m.State("LINK"):
            m.next = "SEE"
            with m.If(self._link == self._links):
                m.d.sync += self._link.eq(0)
                m.next = "DONE"
        with m.State("SEE"), m.Switch(self._field):
            with m.Case(TARGET):
                m.d.sync += self._target.eq(self._seen)
                go_on(MARGIN)
            with m.Case(MARGIN):
                margin = self._seen.word_select(self._link[:2], 16)
                m.d.sync += self._total.eq(margin.as_signed())
                go_on(FIRST)
            with m.Default():
                # the word stays as long as nothing else is looked up
                m.d.comb += [
                    self.command.valid.eq(self._seen != 0),
                    self.command.p.addr.eq(self._seen + state_beat),
                ]
                with m.If((self._seen == 0) | self.command.ready):
                    m.d.comb += self._asks.eq(self._seen != 0)
                    go_on(SECOND)
                    with m.If(self._field == SECOND):
                        m.next = "SUM"
        with m.State("SUM"), m.If(self._due == 0):
            m.d.sync += self._field.eq(TARGET)
            m.next = "WRITE"
        with m.State("WRITE"):
            m.d.comb += self.write_command.valid.eq(1)
            with m.If(self.write_command.ready):
                m.next = "WRITE_DATA"
        with m.State("WRITE_DATA"):
            m.d.comb += self.write_data.valid.eq(1)
            with m.If(self.write_data.ready):
                m.next = "WRITTEN"
        with m.State("WRITTEN"), m.If(self.write_done):
            m.d.sync += self._link.eq(self._link + 1)
            m.next = "LINK"
        with m.State("DONE"):
            m.d.comb += self.done.eq(1)
            m.next = "IDLE"
