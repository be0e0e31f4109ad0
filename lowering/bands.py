"""Bands of columns: a map is cut into narrower ones, which a pass takes for samples.

Tiles are rows, and those of small maps are too few for many clusters; a cluster that had part of a
row would pass over the words of the rest. Columns of the stream that two bands need are in both.
"""

from __future__ import annotations

import numpy as np

from gscn.lowering.axes import KernelGeometry


def can_cut(geometry: KernelGeometry, bands: int) -> bool:
    """Return whether bands are alike: what one more than the others had would be for nothing."""
    return geometry.results[1] % (bands * geometry.x.step) == 0


def band_places(
    stream_first: int, step: int, taps: int, cols: int, bands: int
) -> tuple[int, int, int]:
    """Return columns of results of a band, its first column of the stream, and how many it has.

    Parameters
    ----------
    stream_first
        Column of the results for which the stream's first counts.
    step
        Columns of the results for which one of the stream counts.
    taps
        Tap columns.
    cols
        Columns of the results; a multiple of `step` x `bands`.
    bands
        Bands.
    """
    width = cols // bands
    low = -((stream_first + taps - 1) // step)
    return width, low, (width - 1 - stream_first) // step - low + 1


def in_bands(geometry: KernelGeometry, bands: int) -> KernelGeometry:
    """Return what a pass does if bands of columns are its samples."""
    if bands == 1:
        return geometry
    x = geometry.x
    width, low, count = band_places(x.first, x.step, x.taps, geometry.results[1], bands)
    streamed, computed = ("count", "out_count") if geometry.forward else ("out_count", "count")
    narrow = x._replace(first=x.first + low * x.step, **{streamed: count, computed: width})
    return geometry._replace(samples=geometry.samples * bands, x=narrow)


def cut_bands(geometry: KernelGeometry, bands: int, stream: np.ndarray) -> np.ndarray:
    """Cut a stream (N, rows, columns, channels) into bands, samples of their own."""
    if bands == 1:
        return stream
    x = geometry.x
    width, low, count = band_places(x.first, x.step, x.taps, geometry.results[1], bands)
    apart = width // x.step
    samples, rows, cols, channels = stream.shape
    before = max(0, -low)
    padded = np.zeros(
        (samples, rows, max(before + cols, before + low + (bands - 1) * apart + count), channels),
        stream.dtype,
    )
    padded[:, :, before : before + cols] = stream
    starts = [before + low + band * apart for band in range(bands)]
    parts = [padded[:, :, start : start + count] for start in starts]
    return np.stack(parts, axis=1).reshape(samples * bands, rows, count, channels)


def join_bands(geometry: KernelGeometry, bands: int, results: np.ndarray) -> np.ndarray:
    """Put results (samples and bands, rows, columns, channels) of bands side by side."""
    _, rows, width, channels = results.shape
    apart = results.reshape(geometry.samples, bands, rows, width, channels)
    return apart.transpose(0, 2, 1, 3, 4).reshape(geometry.samples, rows, -1, channels)
