"""Accumulators of a tile: look-ups, products and sums, whatever the order of words."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gscn.array import ArrayConfig
from gscn.emulator.arithmetic import INFINITE, MINUS, NOT_A_NUMBER, PLUS, Arithmetic, round_sums
from gscn.emulator.pass_checks import PassFields
from gscn.system.compiled import compiled

_MOST = 1 << 62
"""Where a sum of magnitudes stays."""


class Words(NamedTuple):
    """Words of the stream and their look-ups (int64 vectors)."""

    key: np.ndarray
    """First key of the first look-up."""
    span: np.ndarray
    """Keys of a look-up."""
    rows: np.ndarray
    """Look-ups."""
    offset: np.ndarray
    """Of the first look-up."""
    numbers: np.ndarray
    """Values, as `Arithmetic.decode` returns them."""


class Stationary(NamedTuple):
    """Entries of the stationary operand."""

    starts: np.ndarray
    """Entries before each key, and behind the last."""
    offset: np.ndarray
    numbers: np.ndarray


class Accumulators(NamedTuple):
    """Of one tile."""

    sums: np.ndarray
    """int64, modulo 2**64."""
    exact: np.ndarray
    """The same in float64, for sums that are far beyond."""
    magnitudes: np.ndarray
    """int64: sums of the addends' magnitudes, at most `_MOST`."""
    specials: np.ndarray
    """uint8: sticky bits."""


@compiled
def _multiply(words, held, steps, numbers, index_mask, accumulators):
    """Add the products of all words; return their number, if one left the window, bad indices."""
    row_keys, row_step = steps
    sums, exact, magnitudes, specials = accumulators
    floating, top, justify, _ = numbers
    products, beyond, outside = 0, False, False
    for i in range(words.key.size):
        for row in range(words.rows[i]):
            key = words.key[i] + row * row_keys
            base = words.offset[i] + row * row_step
            for entry in range(held.starts[key], held.starts[key + words.span[i]]):
                products += 1
                index = (base + held.offset[entry]) & index_mask
                if index >= sums.size:
                    outside = True
                    continue
                addend = words.numbers[i, 0] * held.numbers[entry, 0]
                if addend == 0:
                    continue
                if floating:
                    negative = words.numbers[i, 2] != held.numbers[entry, 2]
                    kind = max(words.numbers[i, 3], held.numbers[entry, 3])
                    if kind == NOT_A_NUMBER:
                        specials[index] |= PLUS | MINUS
                        continue
                    if kind == INFINITE:
                        specials[index] |= MINUS if negative else PLUS
                        continue
                    distance = top - words.numbers[i, 1] - held.numbers[entry, 1]
                    if distance < 0:
                        beyond = True
                        continue
                    addend = (addend << justify) >> min(distance, 63)
                    addend = -addend if negative else addend
                sums[index] += addend
                exact[index] += addend
                magnitudes[index] = min(magnitudes[index] + abs(addend), _MOST)
    return products, beyond, outside


class TileSums:
    """The accumulators of one tile, and what its products did to the flags.

    Parameters
    ----------
    d
        Of the pass, without errors.
    config
        Sizes.
    arithmetic
        How the pass calculates.
    """

    def __init__(self, d: PassFields, config: ArrayConfig, arithmetic: Arithmetic):
        self._d, self._arithmetic = d, arithmetic
        self._mask = (1 << config.index_width) - 1
        types = (np.int64, np.float64, np.int64, np.uint8)
        self._sums = Accumulators(*(np.zeros(config.acc_depth, one) for one in types))
        self.products = 0
        self.left_window = self.outside = False

    def add(self, words: Words, held: Stationary, row_step: int) -> None:
        """Add the products of words; tap rows are `row_step` of offset apart."""
        products, beyond, outside = _multiply(
            words,
            held,
            (self._d.row_keys, row_step),
            self._arithmetic.numbers,
            self._mask,
            self._sums,
        )
        self.products += products
        self.left_window |= beyond
        self.outside |= outside

    @property
    def overflow_certain(self) -> bool:
        """Whether `accumulator_overflow` is set by this tile, whatever the order of its words."""
        half = 1 << (self._arithmetic.acc_width - 1)
        # A sum in 64 bits may have wrapped where magnitudes stayed at the most.
        sums = self._sums
        high = np.where(sums.magnitudes < _MOST, sums.sums, sums.exact * (1 - 2**-20))
        return self.left_window or bool(((high >= half) | (high < -half)).any())

    @property
    def overflow_possible(self) -> bool:
        """Whether some order of its words sets it."""
        half = 1 << (self._arithmetic.acc_width - 1)
        return self.left_window or bool((self._sums.magnitudes >= half).any())

    def results(self, walk: np.ndarray) -> tuple[np.ndarray, bool, bool]:
        """Return results (int64), if one is saturated, and if one is not finite.

        Parameters
        ----------
        walk
            Indices of accumulators, in the order of their results.
        """
        half = 1 << (self._arithmetic.acc_width - 1)
        sums = ((self._sums.sums[walk] + half) & (2 * half - 1)) - half
        return round_sums(
            sums, self._sums.specials[walk], self._d.out_format, self._d.shift, self._arithmetic
        )
