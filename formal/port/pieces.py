"""Pieces of memory are read in bursts within their bounds, and nothing beside them."""

from __future__ import annotations

from amaranth.hdl import Mux, Signal, Value

from formal.checker import Checker, Queue
from gscn.hw.port.pieces import PieceReader


def beat_bits(config) -> int:
    """Return how many low bits of a byte address lie within a beat."""
    return (config.mem_bytes - 1).bit_length()


def within_burst(config, command) -> Value:
    """Return whether a burst has 1 to `burst_beats` beats and crosses no multiple of that."""
    low = beat_bits(config)
    first = command.p.addr[low : low + config.burst_beats.bit_length() - 1]
    return (command.p.beats != 0) & (first + command.p.beats <= config.burst_beats)


class PieceReaderChecker(Checker):
    """Count beats asked for, arrived and consumed.

    Assumed: the data's address is a multiple of 64; memory sends no more beats than it was asked
    for, in a cycle after the command.
    """

    CLAIMS = {
        "held": "`command` is held, its payload unchanged, until it is taken",
        "burst": "a burst has 1 to `burst_beats` beats and crosses no multiple of that",
        "range": "the bursts of a piece ask, in order, for the beats that it touches and no other",
        "room": "beats asked for and not consumed never exceed the buffer; none is dropped",
    }

    dut: PieceReader

    def describe(self) -> None:
        """State how pieces, bursts and beats add up."""
        dut, m, probe, config = self.dut, self.m, self.probe, self.dut.config
        depth, low = config.read_fifo_beats, beat_bits(config)
        request, command = dut.request, dut.command
        self.assume(dut.addr % 64 == 0)
        accepted = request.valid & request.ready
        issued = command.valid & command.ready

        # -- the beats of the piece that is asked for, from its first halfword to its last
        half_bits = low - 1
        next_addr, to_ask = Signal(config.addr_width), Signal(33)
        first = request.p.first >> half_bits
        last = (request.p.first + request.p.halfwords - 1)[:33] >> half_bits
        with m.If(accepted):
            m.d.sync += [
                next_addr.eq(dut.addr + (first << low)),
                to_ask.eq(Mux(request.p.halfwords == 0, 0, last - first + 1)),
            ]
        with m.Elif(issued):
            m.d.sync += [
                next_addr.eq(next_addr + (command.p.beats << low)),
                to_ask.eq(to_ask - command.p.beats),
            ]
        in_flight = Signal(range(depth + 1))
        m.d.sync += in_flight.eq(in_flight + Mux(issued, command.p.beats, 0) - dut.data_valid)
        self.assume(~dut.data_valid | (in_flight != 0))

        beats = Queue(self, "beats", depth=depth, width=config.mem_width)
        self.claim("held", self.held(command, name="command"))
        self.claim("burst", ~command.valid | within_burst(config, command))
        self.claim(
            "range",
            (~command.valid | ((command.p.addr == next_addr) & (command.p.beats <= to_ask)))
            & (~accepted | (to_ask == 0)),
        )
        self.claim(
            "room",
            (in_flight + beats.level <= depth) & (~dut.data_valid | (beats.level < depth)),
        )
        self.invariant(probe.signal("beat_addr") == next_addr[low:])
        self.invariant(next_addr[:low] == 0)
        burst_bits = config.burst_beats.bit_length() - 1
        boundary = config.burst_beats - next_addr[low : low + burst_bits]
        self.invariant(probe.signal("length") == Mux(to_ask < boundary, to_ask, boundary))
        self.invariant(probe.signal("beats_left") == to_ask)
        self.invariant(in_flight + beats.level + probe.signal("room") == depth)
        self.reach(dut.done & (beats.level == 2))
