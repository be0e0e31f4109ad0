"""Outputs of the lanes: results that are judged, given to all that a pass makes of them."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import Adapt, Reduce
from gscn.hw.encode.judge import VERDICT
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.loop_walk import VECTOR_BITS
from gscn.hw.encode.maxima import Maxima
from gscn.hw.encode.segment_sums import SegmentSums
from gscn.hw.encode.segments import segmented_layout
from gscn.hw.encode.selection import magnitudes_layout
from gscn.hw.encode.tally import Tally
from gscn.hw.encode.unit_layouts import (
    BITS,
    LANE_SUMS,
    STATE,
    TALLY,
    VERDICTS,
    dense_layout,
    has_result,
    settings_layout,
)
from gscn.hw.fifo import StreamFIFO
from gscn.passes import VECTOR

OUTPUTS = ("o_dense", "o_second", "o_bits", "o_verdicts", "o_sums", "o_selected")
RESULTS = ("dense", "second", "bits", "sums", "a", "b")
"""Results of a pass, by the beginnings of their fields' names."""


def finished_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a vector of results with all that outputs are made of.

    `last`: of the last combination; those of the first are with what segments want.
    """
    return data.StructLayout(
        {
            "last": data.ArrayLayout(CODE, VECTOR),
            "verdict": VERDICT,
            "segmented": segmented_layout(config),
        }
    )


def last_vector_of(settings: data.View) -> Value:
    """Return the number of the last vector of a position."""
    return ((1 << settings.vectors[:3]) - 1)[:VECTOR_BITS]


class LaneOutputs(wiring.Component):
    """Give results to all outputs that a pass has, when all of them take them.

    Each output has a queue. A vector that sums of products are wanted of waits for the lanes to
    multiply it. Dense results of single values go the way of maxima.

    Implements: steps 3 to 6 of "What is computed", "Sums", and what is counted for "The state", of
    `docs/contract/encode.md`.
    Golden: `emulator.encode`, group by group.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o_dense`, `o_second`, `o_bits`, `o_verdicts`, `o_selected`.
    - Throughput: one vector per cycle, or, with sums of products, per cycle and turns of `dot`.
    - Combinational: `i`, `settings` -> `dot`, `i.ready`; `dot.ready` -> `i.ready`.
    - Reset: nothing waits; outputs 0.

    Parameters
    ----------
    config
        Widths of addresses and sums.

    Attributes
    ----------
    settings : In(settings_layout(config))
        Of the pass.
    state : In(STATE)
        With the tops of windows.
    i : In(stream.Signature(finished_layout(config)))
        Results that are judged.
    dot : Out(stream.Signature(SegmentSums.DOT))
        What lanes are to multiply.
    products : In(SegmentSums.PRODUCT).array(VECTOR)
        Their products, a cycle later.
    saturated, nonfinite : In(1)
        A combination was so (pulses).
    o_dense : Out(stream.Signature(dense_layout(config)))
        The dense result.
    o_second : Out(stream.Signature(dense_layout(config)))
        The second combination.
    o_bits : Out(stream.Signature(BITS))
        Bits.
    o_verdicts : Out(stream.Signature(VERDICTS))
        What strips get.
    o_sums : Out(stream.Signature(LANE_SUMS))
        Sums.
    o_selected : Out(stream.Signature(magnitudes_layout(VECTOR)))
        What a selection counts.
    tally : Out(TALLY)
        What was counted since reset.
    done : Out(1)
        The last vector came, and all outputs were taken.
    """

    LATENCY = StreamFIFO.LATENCY
    SUMS, MAXIMA = SegmentSums, Maxima
    SELECTED = magnitudes_layout(VECTOR)

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "state": In(STATE),
                "i": In(stream.Signature(finished_layout(config))),
                "dot": Out(stream.Signature(self.SUMS.DOT)),
                "products": In(self.SUMS.PRODUCT).array(VECTOR),
                "saturated": In(1),
                "nonfinite": In(1),
                "o_dense": Out(stream.Signature(dense_layout(config))),
                "o_second": Out(stream.Signature(dense_layout(config))),
                "o_bits": Out(stream.Signature(BITS)),
                "o_verdicts": Out(stream.Signature(VERDICTS)),
                "o_sums": Out(stream.Signature(LANE_SUMS)),
                "o_selected": Out(stream.Signature(self.SELECTED)),
                "tally": Out(TALLY),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        found = self.i
        settings = self.settings
        has = {part: has_result(m, settings, part) for part in RESULTS}
        summing, is_maximum = settings.reduce == Reduce.SUM, settings.reduce == Reduce.MAXIMUM
        m.submodules.sums = sums = self.SUMS(config=self.config)
        m.submodules.maxima = maxima = self.MAXIMA(config=self.config)
        outputs = {name.removeprefix("o_"): self._queue(m, name) for name in OUTPUTS}
        wanted = {
            "second": has["second"],
            "bits": has["bits"] & ~is_maximum,
            "verdicts": has["a"] | has["b"],
            "selected": settings.adapt >= Adapt.SELECT_FIRST,
        }
        # Dense results of single values go the way of maxima.
        whole = is_maximum | (has["dense"] & ~summing)
        room, taken = Signal(), Signal()
        sums_wanted, sums_take = Signal(), Signal()
        maxima_take = Signal()
        m.d.comb += [
            room.eq(Cat(~one | outputs[name].i.ready for name, one in wanted.items()).all()),
            sums_wanted.eq(has["sums"] | summing),
            sums_take.eq(~sums_wanted | sums.i.ready),
            maxima_take.eq(~whole | maxima.i.ready),
            sums.i.valid.eq(found.valid & sums_wanted & room & maxima_take),
            maxima.i.valid.eq(found.valid & whole & room & sums_take),
            taken.eq(found.valid & room & sums_take & maxima_take),
            found.ready.eq(taken),
            sums.settings.eq(settings),
            sums.state.eq(self.state),
            sums.i.p.eq(found.p.segmented),
            maxima.i.p.eq(found.p.segmented),
            maxima.compares.eq(is_maximum),
            maxima.vectors.eq(last_vector_of(settings)),
            maxima.has_dense.eq(has["dense"]),
            maxima.has_bits.eq(has["bits"]),
            *(sums.products[n].eq(one) for n, one in enumerate(self.products)),
        ]
        wiring.connect(m, sums.dot, wiring.flipped(self.dot))
        wiring.connect(m, sums.o_sums, outputs["sums"].i)
        for name, one in wanted.items():
            m.d.comb += outputs[name].i.valid.eq(taken & one)
        self._results(m, outputs, found.p)
        # Sums are rounded for their flags alone if there is no dense result.
        dense, bits = outputs["dense"].i, outputs["bits"].i
        self._merge(m, dense, maxima.o_dense, 1)
        self._merge(m, dense, sums.o_dense, has["dense"])
        self._merge(m, bits, maxima.o_bits, 1)

        self._count(m, found.p, taken, wanted["verdicts"], sums)
        ended = Signal()
        with m.If(taken & found.p.segmented.marks.ends):
            m.d.sync += ended.eq(1)
        waiting = Cat(one.o.valid for one in outputs.values()).any()
        m.d.comb += self.done.eq(ended & ~sums.busy & ~maxima.busy & ~waiting)
        return m

    def _count(self, m, found, taken, narrows, sums):
        """Count what the state has of a pass."""
        m.submodules.tally = tally = Tally()
        narrowed = taken & found.verdict.saturated & narrows
        m.d.comb += [
            tally.en.eq(taken),
            tally.there.eq(found.segmented.there),
            tally.verdict.eq(found.verdict),
            tally.flags.eq(
                Cat(
                    self.saturated | narrowed | sums.saturated,
                    self.nonfinite | sums.nonfinite,
                    sums.overflow,
                )
            ),
            self.tally.eq(tally.o),
        ]

    def _queue(self, m, name):
        """Return the queue of an output."""
        port = getattr(self, name)
        queue = StreamFIFO(shape=port.p.shape(), depth=2)
        m.submodules[f"queue_{name}"] = queue
        wiring.connect(m, queue.o, wiring.flipped(port))
        return queue

    def _results(self, m, outputs, found):
        """Describe a vector for outputs that have it as it is."""
        verdict, item = found.verdict, found.segmented
        second, verdicts = outputs["second"].i.p, outputs["verdicts"].i.p
        selected = outputs["selected"].i.p
        m.d.comb += [
            second.addr.eq(item.addr - self.settings.dense_addr + self.settings.second_addr),
            second.codes.eq(found.last),
            second.wanted.eq(item.there.any()),
            second.ends.eq(item.marks.ends),
            verdicts.codes.eq(verdict.codes),
            verdicts.packed_a.eq(verdict.packed_a),
            verdicts.packed_b.eq(verdict.packed_b),
            verdicts.marks.eq(item.marks),
            verdicts.last_vector.eq(item.last_vector),
            *(selected.magnitudes[n].eq(self._magnitude(one)) for n, one in enumerate(found.last)),
            selected.there.eq(item.there),
            outputs["bits"].i.p.bits.eq(verdict.nonzero),
            outputs["bits"].i.p.ends.eq(item.marks.ends),
        ]

    def _magnitude(self, code: Value) -> Value:
        """Return the magnitude of a result."""
        return code[:-1]

    def _merge(self, m, queue, other, wanted):
        """Let a queue have what segments make, in place of vectors as they are."""
        m.d.comb += other.ready.eq(queue.ready | ~wanted)
        with m.If(other.valid & wanted):
            m.d.comb += [queue.p.eq(other.p), queue.valid.eq(1)]
