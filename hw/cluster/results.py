"""Results of a cluster of an array: sums rounded, each row with its address."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS, result_row_layout, sums_layout, tile_layout
from gscn.hw.cluster.walk import TileWalk
from gscn.hw.layouts import OutFormat
from gscn.hw.pe.float_rounding import FloatRounder
from gscn.hw.pe.rounding import Rounder


class Results(wiring.Component):
    """Round rows of sums to the format of the results, and say where they belong.

    Golden: `golden.oracle.quantize.requantize`, `emulator.arithmetic.drain`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, `FLOAT_LATENCY` with float formats.
    - Throughput: one row per cycle.
    - Combinational: `o.ready` -> `i.ready`, `written`; `d` -> `out_format`.
    - Reset: no row; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    d : In(PASS)
        The pass.
    tile : In(tile_layout(config))
        The job; held while there are rows of it.
    begin : In(1)
        A job begins (pulse, while there are no rows); its first row comes in the cycle after, at
        the earliest.
    i : In(stream.Signature(sums_layout(config)))
        Its rows of sums.
    o : Out(stream.Signature(result_row_layout(config)))
        Rows of results.
    out_format : Out(OutFormat)
        Their format.
    written : Out(1)
        The last row of a job is handed on (pulse).
    saturated : Out(1)
        A result was saturated (pulse).
    nonfinite : Out(1)
        With float formats: a result was infinite or NaN (pulse).
    """

    LATENCY = latencies.RESULT_LATENCY
    FLOAT_LATENCY = latencies.RESULT_FLOAT_LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "d": In(PASS),
                "tile": In(tile_layout(config)),
                "begin": In(1),
                "i": In(stream.Signature(sums_layout(config))),
                "o": Out(stream.Signature(result_row_layout(config))),
                "out_format": Out(OutFormat),
                "written": Out(1),
                "saturated": Out(1),
                **({"nonfinite": Out(1)} if config.floats else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, d = self.config, self.d
        latency = self.FLOAT_LATENCY if config.floats else self.LATENCY
        advance, leaves = Signal(), Signal()
        flight = Signal(latency)
        m.d.comb += [
            self.out_format.eq(d.out_format),
            advance.eq(~flight[-1] | self.o.ready),
            leaves.eq(flight[-1] & self.o.ready),
            self.i.ready.eq(advance),
            self.o.valid.eq(flight[-1]),
            self.written.eq(leaves & self.o.p.last),
        ]
        self._place(m, leaves)
        with m.If(advance):
            m.d.sync += flight.eq(Cat(self.i.valid, flight[:-1]))
        saturated, nonfinite = [], []
        for lane in range(config.drain_width):
            last = self._round(m, lane, advance)
            m.d.comb += self.o.p.results[lane].eq(last.o)
            saturated.append(last.saturated)
            if config.floats:
                nonfinite.append(last.nonfinite)
        m.d.sync += self.saturated.eq(leaves & Cat(saturated).any())
        if config.floats:
            m.d.sync += self.nonfinite.eq(leaves & Cat(nonfinite).any())
        return m

    def _place(self, m, leaves):
        """Say where the next row belongs: the walk is a row ahead, to say what follows it."""
        config, d, row = self.config, self.d, self.o.p
        m.submodules.walk = walk = TileWalk(config=config, width=config.addr_width)
        row_bytes = 2 * config.drain_width
        with m.Switch(self.out_format):
            for out_format, bits in ((OutFormat.INT32, 1), (OutFormat.RAW, 2)):
                with m.Case(out_format):
                    m.d.comb += walk.item.eq(row_bytes << bits)
            with m.Default():
                m.d.comb += walk.item.eq(row_bytes)
        # the drain knows late that a job begins; its first row comes later
        begins, begun = Signal(), Signal()
        m.d.sync += [begins.eq(self.begin), begun.eq(begins)]
        m.d.comb += [
            walk.begin.eq(begins),
            walk.first.eq(self.tile.out_addr),
            walk.tile.eq(self.tile),
            walk.run.eq(d.run),
            walk.col.eq(d.pixel_bytes),
            walk.row.eq(d.row_bytes),
            walk.sample.eq(d.sample_bytes),
            walk.en.eq(begun | leaves),
        ]
        beat_bits = config.mem_bytes.bit_length() - 1
        burst_bits = config.burst_beats.bit_length() - 1
        beat, next_beat = row.addr[beat_bits:], walk.place[beat_bits:]
        in_burst, next_in_burst = beat[:burst_bits], next_beat[:burst_bits]
        near = beat[burst_bits:] == next_beat[burst_bits:]
        with m.If(walk.en):
            m.d.sync += [
                row.addr.eq(walk.place),
                row.last.eq(walk.last),
                row.turns.eq(~near | (in_burst != next_in_burst)),
                row.follows.eq(near & (in_burst + 1 == next_in_burst)),
            ]

    def _round(self, m, lane, advance):
        """Add what rounds one sum of a row; return its last part."""
        config, d = self.config, self.d
        m.submodules[f"rounder{lane}"] = rounder = Rounder(width=config.acc_width)
        m.d.comb += [
            rounder.i.eq(self.i.p[lane].sum),
            rounder.shift.eq(d.shift),
            rounder.out_format.eq(self.out_format),
            rounder.en.eq(advance),
        ]
        if not config.floats:
            return rounder
        m.submodules[f"float_rounder{lane}"] = last = FloatRounder(config=config)
        m.d.comb += [
            last.i.eq(self.i.p[lane].sum),
            last.i_special.eq(self.i.p[lane].special),
            last.integer.eq(rounder.o),
            last.integer_saturated.eq(rounder.saturated),
            last.mode.number_format.eq(d.number_format),
            last.mode.window.eq(d.window),
            last.out_format.eq(self.out_format),
            last.en.eq(advance),
        ]
        return last
