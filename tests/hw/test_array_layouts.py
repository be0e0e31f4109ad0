"""Shapes of an array that cuts its own jobs: bits by hand, and room for all that they carry."""

from __future__ import annotations

import dataclasses

import pytest
from amaranth.hdl import Const

from gscn.array import ARRAYS
from gscn.hw import array_layouts
from gscn.hw.array_layouts import WordKind

TINY = ARRAYS["tiny"]
FLOATS = dataclasses.replace(TINY, float_formats="bf16,fp8_e4m3")


def test_known_bits_of_a_word():
    word = array_layouts.word_layout(TINY).const(
        {
            "kind": WordKind.END, "job_end": 1, "value": -2, "key": 0x81, "span": 256, "rows": 9,
            "offset": 287,
        }
    )  # fmt: skip
    fields = ((2, 2), (1, 1), (0xFFFE, 16), (0x81, 8), (256, 9), (9, 4), (287, 9))
    expected, place = 0, 0
    for value, width in fields:
        expected |= value << place
        place += width
    assert Const.cast(word).value == expected
    assert array_layouts.word_layout(TINY).size == place


def test_a_word_holds_all_taps_at_once_or_a_row_of_them_at_a_time():
    assert 1 << array_layouts.SPAN_WIDTH > 16 * 16
    assert 1 << array_layouts.ROWS_WIDTH == 16


def test_a_bank_is_as_many_rows_as_its_accumulators_fill():
    assert array_layouts.sum_rows(TINY) == 144
    assert dict(array_layouts.drain_layout(TINY))["row"].shape.width == 8


def test_products_have_the_width_of_their_factors_and_those_of_floats_of_the_sums():
    widths = {
        name: dict(array_layouts.product_layout(config))["value"].shape.width
        for name, config in {
            "int8": dataclasses.replace(TINY, operand_format="int8"), "int16": TINY,
            "floats": FLOATS,
        }.items()
    }  # fmt: skip
    assert widths == {"int8": 16, "int16": 32, "floats": 48}


@pytest.mark.parametrize(
    "shape",
    [array_layouts.product_layout, lambda config: array_layouts.sums_layout(config).elem_shape],
)
def test_special_bits_are_only_where_formats_have_them(shape):
    assert "special" not in dict(shape(TINY))
    assert "special" in dict(shape(FLOATS))
