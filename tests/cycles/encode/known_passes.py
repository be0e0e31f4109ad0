"""What the cycle model is to know of random passes: what the emulator finds in their data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gscn.cycles.encode.fields import record_fields
from gscn.cycles.encode.unit import Known, simulate_encode
from gscn.emulator import encode
from gscn.emulator.encode_checks import encode_fields
from gscn.encode import (
    COEFFICIENT_BITS,
    ENCODE_DESCRIPTOR,
    ENCODE_DESCRIPTOR_BYTES,
    ENCODE_STATE,
    Adapt,
)
from gscn.formats import FLOAT32
from gscn.passes import VECTOR

_MAGNITUDES = 0x7FFF
_CUT = FLOAT32.significand_width - COEFFICIENT_BITS


class KnownPass(NamedTuple):
    """What is known of a pass."""

    fields: dict[str, int]
    known: Known
    kept: tuple[np.ndarray, np.ndarray]
    """Lanes of strips A and B; none that it has not."""


class _Watched(encode._Pass):
    """A pass of which is noted what takes time."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.odd, self.strips = [], []

    def _group(self, group):
        there = self.walk.there(group)
        rows, _ = self._rows(int(self.walk.outer[0, group]))
        # A subnormal one is no power of two either: it is not where a normal one has its bit.
        bits = 0
        for tensor, code in enumerate(rows.coefficients):
            whole = code & (1 << FLOAT32.mantissa_width) - 1
            odd = whole >> _CUT != 0
            bits = bits | (odd & there).reshape(-1, VECTOR).any(axis=1) << tensor
        self.odd.append(bits)
        if self.walk._strips is not None:
            self.strips.append(packed(self.walk._strips[group] != 0))
        super()._group(group)


def packed(lanes: np.ndarray) -> np.ndarray:
    """Return lanes of vectors as bits."""
    bits = np.packbits(lanes.reshape(-1, VECTOR), axis=1, bitorder="little")
    return bits.view("<u2").reshape(-1)


def _joined(parts: list) -> np.ndarray:
    return np.concatenate([*parts, np.zeros(0, np.uint16)]).astype(np.uint16)


def _chosen_bin(f: dict[str, int], state: dict[str, int], bins: np.ndarray) -> int:
    """Return the bin in which a selection finds its rank, as hardware numbers them."""
    left = state["keep"] if f["adapt"] == Adapt.SELECT_FIRST else state["rank"]
    if left == 0:
        return bins.size - 1
    number = bins.size - 1
    while number > 0 and bins[number] < left:
        left -= int(bins[number])
        number -= 1
    return number


def known_pass(image: np.ndarray, config) -> KnownPass:
    """Run the pass whose record is at the start of memory, and look at it."""
    f = record_fields(image)
    found = _Watched(
        encode_fields(ENCODE_DESCRIPTOR.unpack(image[:ENCODE_DESCRIPTOR_BYTES])[0]), config, image
    )
    found.run()
    place = f["state_addr"]
    content = ENCODE_STATE.unpack(image[place : place + ENCODE_STATE.width // 8])[0]
    state = {name: int(content[name]) for name in ENCODE_STATE.dtype.names}
    a, b = (
        _joined([packed(np.asarray(one).astype(np.int64) & _MAGNITUDES != 0) for one in parts])
        for parts in (found.kept.a, found.kept.b)
    )
    known = Known(
        odd=_joined(found.odd), kept_0=_joined(found.strips) if found.strips else 1.0,
        kept=found.kept.kept[0], state=state,
        chosen_bin=_chosen_bin(f, state, found.kept.bins) if f["adapt"] > Adapt.STEP else 0,
    )  # fmt: skip
    return KnownPass(f, known, (a, b))


def modelled(image: np.ndarray, config, port, turn: int, bins_ready: int):
    """Return what the model says of a pass behind others."""
    fields, known, (a, b) = known_pass(image, config)
    known = known._replace(turn=turn, bins_ready=bins_ready)
    return simulate_encode(fields, config, kept_a=a, kept_b=b, known=known, port=port)
