"""Streamed words that can reach a run of target rows, counted through all samples."""

from __future__ import annotations

import numpy as np

from gscn.lowering.geometry import Axis, Classes, Ranking, classify
from gscn.lowering.operands import Nonzeros


class WordRegions:
    """Nonzeros of a streamed map, found by the target rows that they reach.

    Parameters
    ----------
    words
        Nonzeros sorted by (sample, row).
    samples, map_rows
        Samples, and rows of each.
    axis
        Vertical axis.
    """

    def __init__(self, words: Nonzeros, samples: int, map_rows: int, axis: Axis) -> None:
        self._words = words
        self._rows = map_rows
        self._axis = axis
        self._ranking = Ranking.of(axis.kernel)
        code = words.major * map_rows + words.row
        self._start = np.searchsorted(code, np.arange(samples * map_rows + 1))

    def ranges(self, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the kernel ranks (first, last) that each row meets in the target rows `[low, high)`.

        Rows count through the samples from the one that holds target row `low` on.
        """
        extent = self._axis.extent
        pairs = [
            self._ranking.window(
                self._axis.map,
                max(low - sample * extent, 0),
                min(high - sample * extent, extent),
            )
            for sample in range(low // extent, -(-high // extent))
        ]
        return np.concatenate([pair[0] for pair in pairs]), np.concatenate(
            [pair[1] for pair in pairs]
        )

    def window(self, low: int, high: int, pes: int = 1) -> tuple[Nonzeros, Classes, np.ndarray]:
        """Find the words that may reach the target rows `[low, high)`.

        Returns
        -------
        Nonzeros
            Words, whose rows count as in `ranges`.
        Classes
            Row classes, the same for each of `pes` PEs.
        numpy.ndarray
            Row of the window at which each word's shift lies.
        """
        extent = self._axis.extent
        classes = classify([self.ranges(low, high)] * pes)
        reached = np.flatnonzero(classes.of >= 0)
        sample = low // extent
        begin = end = 0
        if reached.size:
            begin = int(self._start[sample * self._rows + reached[0]])
            end = int(self._start[sample * self._rows + reached[-1] + 1])
        words = self._words.take(slice(begin, end))
        base = words.major * extent + self._axis.map.shift[words.row] - low
        row = (words.major - sample) * self._rows + words.row
        return Nonzeros(words.major, words.minor, row, words.col, words.value), classes, base
