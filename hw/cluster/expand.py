"""Expansion of a stream's 32-bit items to words with full keys and offsets."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.config import CHUNK_WIDTH
from gscn.hw.layouts import B_WORD, STREAM_BASES, STREAM_ITEM
from gscn.records import CODE_WIDTH

EXPANDED = data.StructLayout({"chunk": CHUNK_WIDTH, "is_word": 1})
"""A `B_WORD` or a partial sum; `is_word` is low while a rebase passes."""


class Expander(wiring.Component):
    """Turn the chunks of a MAC stream into words, and pass those of an ADD stream.

    Of a MAC stream every chunk holds two items, the first in its low half. An item of another value
    than 0 is a word: the low `offset_bits` of its code are added to the offset base, those above to
    the key base, modulo 2**16. An item of value 0 sets the first tap of the words to come, the item
    after it both bases; neither is a word. All three are 0 when a segment starts. In the cycle of
    `start` nothing may be taken from `o`.

    Implements: the stream of a MAC segment in `docs/contract/execution.md`.

    Timing
    ------
    - Latency: `LATENCY` from `chunks` to `o`.
    - Throughput: one item per cycle.
    - Combinational: `chunks.valid` -> `o.valid`, `bad_tap`; `chunks.p`, `add` -> `o.p`, `bad_tap`;
      `offset_bits` -> `o.p`; `o.ready`, `add`, `last` -> `chunks.ready`; `tap_count` -> `bad_tap`.
    - Reset: as after `start`; outputs 0.

    Attributes
    ----------
    chunks : In(stream.Signature(CHUNK_WIDTH))
        The stream.
    o : Out(stream.Signature(EXPANDED))
        Items, expanded.
    start : In(1)
        The next item is the first of a segment (pulse).
    add : In(1)
        The segment adds partial sums.
    offset_bits : In(range(CODE_WIDTH + 1))
        Of the segment, 0 to 16.
    last : In(1)
        The item at `o` is the segment's last; the rest of its chunk is dropped.
    tap_count : In(9)
        Taps of the segment, 1 to 256.
    bad_tap : Out(1)
        The item at `o` sets a first tap that is none of them.
    """

    LATENCY = 0

    def __init__(self):
        super().__init__(
            {
                "chunks": In(stream.Signature(CHUNK_WIDTH)),
                "o": Out(stream.Signature(EXPANDED)),
                "start": In(1),
                "add": In(1),
                "offset_bits": In(range(CODE_WIDTH + 1)),
                "last": In(1),
                "tap_count": In(9),
                "bad_tap": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        key_base, offset_base = Signal(signed(16)), Signal(signed(16))
        tap_start = Signal(8)
        half = Signal()
        rebases = Signal()  # the item offered holds bases

        item_bits = Signal(32)
        item = data.View(STREAM_ITEM, item_bits)
        bases = data.View(STREAM_BASES, item_bits)
        # ones above the offset
        key_mask = Signal(CODE_WIDTH)
        word = Signal(B_WORD)
        is_word = Signal()
        m.d.comb += [
            item_bits.eq(self.chunks.p.word_select(half, 32)),
            key_mask.eq(((1 << CODE_WIDTH) - 1) << self.offset_bits),
            is_word.eq(~rebases & (item.value != 0)),
            word.value.eq(item.value),
            word.offset.eq(offset_base + (item.code & ~key_mask)),
            word.key.eq(key_base + (item.code >> self.offset_bits)),
            word.tap_start.eq(tap_start),
            self.bad_tap.eq(
                self.o.valid
                & ~self.add
                & ~rebases
                & (item.value == 0)
                & (item.code >= self.tap_count)
            ),
            self.o.valid.eq(self.chunks.valid),
            self.o.p.chunk.eq(Mux(self.add, self.chunks.p, word.as_value())),
            self.o.p.is_word.eq(self.add | is_word),
            self.chunks.ready.eq(self.o.ready & (self.add | half | self.last)),
        ]
        with m.If(self.start):
            m.d.sync += [
                key_base.eq(0),
                offset_base.eq(0),
                tap_start.eq(0),
                half.eq(0),
                rebases.eq(0),
            ]
        with m.Elif(self.o.valid & self.o.ready & ~self.add):
            m.d.sync += [half.eq(~half), rebases.eq(~rebases & ~is_word)]
            with m.If(rebases):
                m.d.sync += [key_base.eq(bases.key_base), offset_base.eq(bases.offset_base)]
            with m.Elif(~is_word):
                m.d.sync += tap_start.eq(item.code)
        return m
