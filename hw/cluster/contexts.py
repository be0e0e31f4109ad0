"""Contexts of a cluster's strips that wait, and whether the chunks of the oldest are loaded."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.input_layouts import CHUNK_NUMBER_WIDTH, context_layout


class ContextQueue(wiring.Component):
    """Queue two contexts, and say of the oldest whether its strip has its chunks.

    That comes from a register: numbers are compared for both contexts in the cycle before, so that
    it costs none when the oldest leaves. Numbers of chunks go around; none needed is further from
    those loaded than half of them.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`; `LOADED_LATENCY` from `chunks` to `loaded`, and one more
      from `i`.
    - Throughput: one context per cycle in and out, if not both are there.
    - Combinational: none.
    - Reset: empty; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Width of keys and indices.

    Attributes
    ----------
    i : In(stream.Signature(context_layout(config)))
        Contexts in.
    chunks : In(CHUNK_NUMBER_WIDTH)
        Chunks loaded.
    o : Out(stream.Signature(context_layout(config)))
        Contexts out.
    loaded : Out(1)
        `o` is the context of a strip, and all chunks that this needs are loaded.
    """

    DEPTH = latencies.STRIPS_NAMED

    LATENCY = 1
    LOADED_LATENCY = 1

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        contexts = stream.Signature(context_layout(config))
        super().__init__(
            {
                "i": In(contexts),
                "chunks": In(CHUNK_NUMBER_WIDTH),
                "o": Out(contexts),
                "loaded": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        assert self.DEPTH == 2
        first = Signal(context_layout(self.config))
        second = Signal.like(first, reset_less=True)
        there, both = Signal(), Signal()
        enters, leaves = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        m.d.comb += [self.i.ready.eq(~both), self.o.valid.eq(there), self.o.p.eq(first)]
        with m.If(~there | leaves):
            m.d.sync += [first.eq(Mux(both, second, self.i.p)), there.eq(both | enters)]
        with m.If(~both):
            m.d.sync += second.eq(self.i.p)
        m.d.sync += both.eq(Mux(both, ~leaves, there & enters & ~leaves))

        def ready(context):
            early = Signal(CHUNK_NUMBER_WIDTH)  # negative while they are not all there
            m.d.comb += early.eq(self.chunks - context.need)
            return ~early[-1] & ~context.empty

        m.d.sync += self.loaded.eq(Mux(leaves, both & ready(second), there & ready(first)))
        return m
