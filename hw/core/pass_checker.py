"""Checks of a pass's descriptor, with one multiplier that takes four bits at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS, ranges_layout
from gscn.hw.core.field_checks import Errors, field_checks, meets
from gscn.pass_errors import PASS_ERROR_WIDTH, PassError
from gscn.passes import TABLE_ENTRY_BYTES, VECTOR, Mode
from gscn.records import OUT_WIDTHS

STRIP_WIDTH = 20
"""Bits of the number of vectors of a strip."""
_FACTOR = 16
"""Bits of the factor that is taken apart."""
_BITS = 4
"""Bits of it that are taken in a cycle."""
_LOOPS = 4
"""Loops over results: columns, rows, samples and stationary tiles."""
_PRODUCT = 56
"""Bits of a signed product, and of sums of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    """A product, and what it is for."""

    factor: Value
    """Unsigned, of `_FACTOR` bits at most."""
    other: Value
    use: Callable[[Signal], tuple[list, Errors]]
    """From the product: assignments to registers, and what is wrong."""


class PassChecker(wiring.Component):
    """Find the first error of a descriptor.

    One product after the other is worked out, each in a cycle for every four bits of its smaller
    factor, at least one, and compared while the next one is worked out. So that what one product is
    for is no factor of the next two.

    Golden: `emulator.pass_checks`.

    Timing
    ------
    - Latency: `LATENCY` from `forget` to `checked`. After `start` it takes dozens of cycles.
    - Throughput: one descriptor at a time.
    - Combinational: `d`, `list_range` -> `error`.
    - Reset: nothing checked; outputs 0, but `error` meaningless.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    d : In(PASS)
        Descriptor; held from the cycle after `start` on until `forget`.
    list_range : In(ranges_layout())
        Where the list of descriptors lies.
    start : In(1)
        Check it (pulse).
    forget : In(1)
        It will change.
    checked : Out(1)
        `error` is valid.
    error : Out(PASS_ERROR_WIDTH)
        A `PassError`, or 0.
    """

    LATENCY = 1

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "d": In(PASS),
                "list_range": In(ranges_layout()),
                "start": In(1),
                "forget": In(1),
                "checked": Out(1),
                "error": Out(PASS_ERROR_WIDTH),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self._correlate = self.d.mode == Mode.CORRELATE
        first_extent, loops, end = self._extent_steps(m)
        held, streamed, *ends = self._table_steps()
        rows, keys, lane, strip = self._size_steps()
        # what a step needs of another is known two products after it
        between = zip(loops, self._row_steps(), (*self._walk_steps(), lane), strict=True)
        steps = [
            *(held, streamed, rows, *ends, keys),
            *(step for three in between for step in three),
            *(strip, end),
        ]
        number = Signal(range(len(steps) + 1))
        factor = Signal(_FACTOR)
        other, product = Signal(signed(_PRODUCT)), Signal(signed(_PRODUCT))
        begins, ends_product = Signal(), Signal()
        m.d.comb += ends_product.eq(factor >> _BITS == 0)
        wrong = {code: Signal(name=f"wrong_{code.name.lower()}") for code in PassError}
        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [number.eq(0), self._overlaps.eq(0)]
                m.d.sync += [self._loop.eq(0), self._tiles_taken.eq(0)]
                m.d.sync += [flag.eq(0) for flag in wrong.values()]
                m.next = "LOAD"
            with m.State("LOAD"):
                m.d.sync += [factor.eq(steps[0].factor), other.eq(steps[0].other), first_extent]
                m.d.sync += begins.eq(1)
                m.next = "MULTIPLY"
            with m.State("MULTIPLY"):
                m.d.sync += [
                    factor.eq(factor >> _BITS),
                    other.eq(other << _BITS),
                    product.eq(Mux(begins, 0, product) + other * factor[:_BITS]),
                    begins.eq(ends_product),
                ]
                m.d.sync += number.eq(number + ends_product)
                with m.If(ends_product), m.Switch(number):
                    for place, following in enumerate(steps[1:]):
                        with m.Case(place):
                            m.d.sync += [
                                factor.eq(following.factor),
                                other.eq(following.other),
                            ]
                with m.If(begins), m.Switch(number):
                    for place, step in enumerate(steps, 1):
                        with m.Case(place):
                            registers, errors = step.use(product)
                            m.d.sync += registers
                            for code, condition in errors.items():
                                m.d.sync += wrong[code].eq(wrong[code] | condition)
                with m.If(number == len(steps)):
                    m.d.sync += self.checked.eq(1)
                    m.next = "IDLE"
        with m.If(self.forget):
            m.d.sync += self.checked.eq(0)
        simple = field_checks(self.d, self.list_range, self.config)
        for code in reversed(PassError):
            with m.If(wrong[code] | simple.get(code, Const(0))):
                m.d.comb += self.error.eq(code)
        return m

    def _table_steps(self):
        """Return the products for the ends of the tables: rows, and entries."""
        d = self.d
        held_rows, streamed_rows = Signal(33), Signal(33)

        def ends(table):
            def use(product):
                end = table + TABLE_ENTRY_BYTES * product
                errors = {
                    PassError.ADDRESS: end > 1 << self.config.addr_width,
                    PassError.OUTPUT_RANGE: meets(d, table, end),
                }
                return [], errors

            return use

        def keep(rows):
            return lambda product: ([rows.eq(product + 1)], {})

        samples = Mux(self._correlate, d.samples, 1)
        return [
            _Step(factor=samples, other=d.s_chunks, use=keep(held_rows)),
            _Step(factor=d.samples, other=d.t_strips, use=keep(streamed_rows)),
            _Step(factor=d.s_groups, other=held_rows, use=ends(d.s_table)),
            _Step(factor=d.t_groups, other=streamed_rows, use=ends(d.t_table)),
        ]

    def _size_steps(self):
        """Return the products for keys and vectors of strips."""
        d = self.d
        rows = Signal(24)
        return [
            _Step(factor=d.s_mid, other=d.s_outer, use=lambda p: ([rows.eq(p)], {})),
            _Step(
                factor=d.s_inner,
                other=rows,
                use=lambda p: ([], {PassError.STATIONARY: p != d.s_keys}),
            ),
            _Step(
                factor=d.s_mid,
                other=d.s_inner,
                use=lambda p: ([], {PassError.TAPS: ~self._correlate & (p != d.lane_step)}),
            ),
            _Step(
                factor=d.t_rows,
                other=d.t_width,
                use=lambda p: (
                    [],
                    {PassError.STREAMED: (p[:32] << d.t_vectors[:3])[STRIP_WIDTH:].any()},
                ),
            ),
        ]

    def _row_steps(self):
        """Return the products for rows of a map: all, and those of the chunks waited for."""
        d = self.d
        whole = (d.ahead + 1 >= d.s_chunks) & (d.behind + 1 >= d.t_strips) & (d.unit_strips == 0)

        def step(factor, other, condition, *, if_whole=False):
            needed = self._correlate if if_whole else self._correlate & ~whole
            return _Step(
                factor=factor,
                other=other,
                use=lambda product: ([], {PassError.TAPS: needed & condition(product)}),
            )

        return [
            step(
                (d.s_chunks - 1)[:16], d.s_outer, lambda p: d.rows != p + d.s_outer_last,
                if_whole=True,
            ),
            step(d.t_step, d.t_rows, lambda p: d.s_outer != p),
            step(d.behind, d.s_outer, lambda p: d.first_row + p < 0),
            step(d.ahead, d.s_outer, lambda p: d.first_row + d.taps_y > p + d.t_step),
        ]  # fmt: skip

    def _walk_steps(self):
        """Return the products for accumulators of a tile, loop by loop."""
        d, correlate = self.d, self._correlate
        place = Signal(signed(_PRODUCT))
        lanes = (VECTOR << d.t_vectors[:3]) >> d.t_split[:4]

        def first(product):
            return [place.eq(product + Mux(correlate, VECTOR << d.s_vectors[:3], d.run))], {}

        def then(count, step):
            def use(product):
                apart = (count == 1) | (step >= place)
                return [place.eq(place + product)], {PassError.WALK: ~correlate & ~apart}

            return use

        def last(product):
            registers, errors = then(d.tile_samples, d.plane)(product)
            most = Mux(correlate, d.run, self.config.acc_depth)
            errors[PassError.WALK] |= place + product > most
            return registers, errors

        def factor(kernel, other):
            return (Mux(correlate, other, kernel) - 1)[:16]

        return [
            _Step(
                factor=factor(d.tile_cols, d.taps_x),
                other=Mux(correlate, d.s_offset_inner, d.x_step),
                use=first,
            ),
            _Step(
                factor=factor(d.tile_rows, d.taps_y),
                other=Mux(correlate, d.row_step, d.y_step),
                use=then(d.tile_rows, d.y_step),
            ),
            _Step(
                factor=factor(d.tile_samples, lanes),
                other=Mux(correlate, d.lane_step, d.plane),
                use=last,
            ),
        ]

    def _extent_steps(self, m):
        """Return how the bytes that results span begin, and products for them.

        Those of the loops, by the order of their steps, and the one that ends.
        """
        d, correlate = self.d, self._correlate
        extent = Signal(signed(_PRODUCT))
        self._overlaps, self._tiles_taken = Signal(), Signal()
        self._loop = Signal(2)
        one = data.StructLayout({"count": 16, "step": 32})
        own, chosen = Signal(one), Signal(one)
        with m.Switch(self._loop):
            for place, (count, step) in enumerate(
                (
                    (
                        Mux(correlate, d.t_tiles, d.cols),
                        Mux(correlate, d.t_tile_bytes, d.pixel_bytes),
                    ),
                    (Mux(correlate, 1, d.rows), d.row_bytes),
                    (Mux(correlate, 1, d.samples), d.sample_bytes),
                )
            ):
                with m.Case(place):
                    m.d.comb += [own.count.eq(count), own.step.eq(step)]
        takes_tiles = Signal()
        shorter = (own.count == 1) | (own.step < d.s_tile_bytes)
        m.d.comb += [
            takes_tiles.eq(~self._tiles_taken & ((self._loop == 3) | ~shorter)),
            chosen.eq(own),
        ]
        with m.If(takes_tiles):
            m.d.comb += [chosen.count.eq(d.s_tiles), chosen.step.eq(d.s_tile_bytes)]
        bits = Signal(range(4))  # log2 of the bytes of a result
        with m.Switch(d.out_format):
            for out_format, width in OUT_WIDTHS.items():
                with m.Case(out_format):
                    m.d.comb += bits.eq((width // 8).bit_length() - 1)

        def use(product):
            return [
                extent.eq(extent + product),
                self._loop.eq(self._loop + ~takes_tiles),
                self._tiles_taken.eq(self._tiles_taken | takes_tiles),
                self._overlaps.eq(self._overlaps | ((chosen.count != 1) & (chosen.step < extent))),
            ], {}

        def end(_product):
            return [], {PassError.OUTPUT_RANGE: self._overlaps | (d.out_addr + extent > d.out_end)}

        loops = [_Step(factor=(chosen.count - 1)[:16], other=chosen.step, use=use)] * _LOOPS
        last = _Step(factor=Const(0), other=Const(0), use=end)
        return extent.eq(d.run << bits), loops, last
