"""Results of a unit of integers on their way to lines of memory: dense vectors, halves of codes."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.encode.integer_lane import SIZE_BITS
from gscn.hw.encode.line_gatherer import HALFWORD, HALFWORDS, LineGatherer, line_layout
from gscn.hw.encode.strip_packer import kept_layout, ranks, route
from gscn.hw.encode.unit_layouts import LINE, dense_layout
from gscn.passes import VECTOR
from gscn.port import ALIGNMENT_BITS

_BYTE = 8


def halved(m: Module, vector, narrow) -> Signal:
    """Return a vector for strips, codes of 8 bits put together two by two if they are `narrow`.

    Parameters
    ----------
    m
        Where combinational statements are added.
    vector
        With 16 `codes`, and which of them are `kept`.
    narrow
        Codes have 8 bits.

    Returns
    -------
    Signal
        `kept_layout(masked=True)`, without its ends.
    """
    found = Signal(kept_layout(masked=True))
    kept = list(vector.kept)
    places = ranks(m, kept, 0)
    bytes_, valid = route(m, [code[:_BYTE] for code in vector.codes], kept, places)
    m.d.comb += [
        found.codes.eq(vector.codes),
        found.kept.eq(vector.kept),
        found.mask.eq(vector.kept),
    ]
    with m.If(narrow):
        m.d.comb += found.kept.eq(Cat(valid[0::2]))
        for number in range(VECTOR // 2):
            low, high = 2 * number, 2 * number + 1
            # behind an odd last one is a zero
            upper = bytes_[high] & valid[high].replicate(_BYTE)
            m.d.comb += found.codes[number].eq(Cat(bytes_[low], upper))
    return found


class IntegerWriter(wiring.Component):
    """Make lines of vectors of integers; one outside the range is never taken, nor any behind it.

    Implements: "What is computed" of `docs/contract/encode.md`, where dense results are.
    Golden: `emulator.encode`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, of the vector behind a line.
    - Throughput: one vector per cycle, if lines are taken.
    - Combinational: `i.p`, `first`, `last`, `size` -> `i.ready`; `i.p`, `i.valid`, `first`,
      `last`, `size` -> `outside`.
    - Reset: no vector; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Width of addresses.

    Attributes
    ----------
    i : In(stream.Signature(dense_layout(config)))
        Vectors. Behind the one that ends, none until a reset.
    size : In(SIZE_BITS)
        log2 of the bytes of a value.
    first : In(config.addr_width)
        Where the range begins, a multiple of 64.
    last : In(config.addr_width + 1)
        Where it ends, one past its last byte.
    o : Out(stream.Signature(line_layout(config)))
        Lines.
    outside : Out(1)
        The vector at hand lies outside the range.
    ended : Out(1)
        All lines have left.
    """

    DEPTH = 4
    LATENCY = LineGatherer.LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(dense_layout(config))),
                "size": In(SIZE_BITS),
                "first": In(config.addr_width),
                "last": In(config.addr_width + 1),
                "o": Out(stream.Signature(line_layout(config))),
                "outside": Out(1),
                "ended": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.gatherer = gatherer = LineGatherer(config=self.config, depth=self.DEPTH)
        wiring.connect(m, gatherer.o, wiring.flipped(self.o))
        vector, piece = self.i.p, gatherer.i.p
        bad, end = Signal(), Signal(len(self.last))
        m.d.comb += [
            end.eq(vector.addr + (VECTOR << self.size)),
            bad.eq(vector.wanted & ((vector.addr < self.first) | (end > self.last))),
            self.outside.eq(self.i.valid & bad),
            self.i.ready.eq(gatherer.i.ready & ~bad),
            gatherer.i.valid.eq(self.i.valid & ~bad),
            piece.line.place.eq(vector.addr[ALIGNMENT_BITS:]),
            piece.there.eq(vector.wanted),
            piece.last.eq(vector.ends),
            self.ended.eq(gatherer.ended),
        ]
        with m.Switch(self.size):
            for size in range(3):
                width = _BYTE << size
                words = Cat(code[:width] for code in vector.codes)
                parts = LINE // len(words)
                # which of the parts of a line that are as long as a vector
                at = vector.addr[ALIGNMENT_BITS - (parts - 1).bit_length() : ALIGNMENT_BITS]
                here = [at == part if parts > 1 else 1 for part in range(parts)]
                own = [Signal(name=f"own{size}_{part}") for part in range(parts)]
                m.d.comb += [one.eq(other) for one, other in zip(own, here, strict=True)]
                with m.Case(size) if size < 2 else m.Default():
                    m.d.comb += [
                        piece.line.data.eq(words.replicate(parts)),
                        piece.line.halfwords.eq(
                            Cat(one.replicate(HALFWORDS // parts) for one in own)
                        ),
                    ]
        return m


assert HALFWORD == 2 * _BYTE
