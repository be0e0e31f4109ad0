"""Dealing of a cluster's words to its PEs."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import WordKind, word_layout
from gscn.hw.port.arbiter import RoundRobin


class Dealer(wiring.Component):
    """Give each word to the PE with the fewest queued, and each MARK or END to all PEs at once.

    Of several with the fewest, the next after the one given a word last gets it. A PE is ready if
    it has fewer words than it can queue.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`.
    - Throughput: one word per cycle.
    - Combinational: `i.p` -> `o.p`, `o.valid`, `i.ready`; `i.valid`, `levels` -> `o.valid`;
      `o.ready` -> `o.valid`, `i.ready`.
    - Reset: the first PE first; outputs 0.

    Parameters
    ----------
    config
        PEs.

    Attributes
    ----------
    i : In(stream.Signature(word_layout(config)))
        Words.
    levels : In(range(config.word_depth + 1)).array(config.pes)
        Words queued in each PE.
    o : Out(stream.Signature(word_layout(config))).array(config.pes)
        Words for each PE.
    """

    LATENCY = latencies.DEALER_LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(config))),
                "levels": In(range(config.word_depth + 1)).array(config.pes),
                "o": Out(stream.Signature(word_layout(config))).array(config.pes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        count = self.config.pes
        ready = Cat(o.ready for o in self.o)
        m.submodules.choice = choice = RoundRobin(count=count)
        one = self.i.p.kind == WordKind.MAC
        # those with no more than so many queued, for each number that any is within
        fewest = (1 << count) - 1
        for most in range(self.config.word_depth):
            within = Cat(level <= most for level in self.levels)
            fewest &= Mux(within.any(), within, (1 << count) - 1)
        m.d.comb += choice.requests.eq(fewest)
        addressed = Signal(count)
        fires = Signal()
        m.d.comb += [
            addressed.eq(Mux(one, 1 << choice.grant, (1 << count) - 1)),
            # that with the fewest has room if any has: it need not be known which it is
            self.i.ready.eq(Mux(one, ready.any(), ready.all())),
            fires.eq(self.i.valid & self.i.ready),
            choice.en.eq(fires & one),
        ]
        for number, o in enumerate(self.o):
            m.d.comb += [o.valid.eq(fires & addressed[number]), o.p.eq(self.i.p)]
        return m
