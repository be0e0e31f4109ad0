"""Bands of columns: what each has of the stream, and their results side by side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.lowering.axes import kernel_geometries
from gscn.lowering.bands import band_places, can_cut, cut_bands, in_bands, join_bands
from gscn.lowering.layouts import stream_of

PADDED = ConvShape(n=2, c=3, h=5, w=56, k=4, r=3, s=3, padding=(1, 1))


def test_a_band_has_the_columns_of_its_taps_by_hand():
    # 14 columns of results, a column of the stream more on either side
    assert band_places(-1, 1, 3, 56, 4) == (14, -1, 16)
    # every second column of the results, of 5 taps: 8 columns are 4 of the stream, and 2 before
    assert band_places(-2, 2, 5, 24, 3) == (8, -1, 6)


def test_bands_are_samples():
    (geometry,) = kernel_geometries(PADDED, Pass.FORWARD, 1)
    cut = in_bands(geometry, 4)
    assert (cut.samples, cut.results, cut.stream) == (8, (5, 14), (5, 16))
    assert cut.x.first == -2
    assert in_bands(geometry, 1) == geometry


@given(
    width=st.integers(1, 40),
    taps=st.integers(1, 5),
    padding=st.integers(0, 3),
    stride=st.integers(1, 3),
    bands=st.integers(1, 5),
    which=st.sampled_from((Pass.FORWARD, Pass.INPUT_GRAD)),
)
def test_each_band_has_all_that_counts_for_its_results(width, taps, padding, stride, bands, which):
    width = max(width, taps)
    shape = ConvShape(
        n=1, c=1, h=3, w=width, k=1, r=3, s=taps, padding=(1, padding), stride=(stride, stride)
    )
    second = np.arange(1, 1 + np.prod(shape.operand_shapes(which)[1]))
    second = second.reshape(shape.operand_shapes(which)[1])
    for geometry in kernel_geometries(shape, which, 255):
        if not can_cut(geometry, bands):
            continue
        stream = stream_of(geometry, second)
        cut = in_bands(geometry, bands)
        parts = cut_bands(geometry, bands, stream)
        assert parts.shape[:3] == (cut.samples, *cut.stream)
        x = geometry.x
        assert bands * cut.results[1] == geometry.results[1]
        for band in range(bands):
            for column in range(cut.results[1]):
                place = band * cut.results[1] + column
                for tap in range(x.taps):
                    at, rest = divmod(place - tap - x.first, x.step)
                    own, own_rest = divmod(column - tap - cut.x.first, x.step)
                    assert rest == own_rest
                    if rest == 0 and 0 <= at < stream.shape[2]:
                        assert (parts[band, :, own] == stream[0, :, at]).all()
                    elif rest == 0 and 0 <= own < parts.shape[2]:
                        assert not parts[band, :, own].any()


@pytest.mark.parametrize("bands", [1, 2, 4, 7])
def test_results_of_bands_are_put_side_by_side(bands):
    (geometry,) = kernel_geometries(PADDED, Pass.FORWARD, 1)
    width = in_bands(geometry, bands).results[1]
    whole = np.arange(2 * 5 * bands * width * 4).reshape(2, 5, bands * width, 4)
    apart = whole.reshape(2, 5, bands, width, 4).transpose(0, 2, 1, 3, 4).reshape(-1, 5, width, 4)
    assert (join_bands(geometry, bands, apart) == whole).all()
