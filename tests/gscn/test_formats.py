"""Floating-point formats: limits of the specifications, worked out by hand."""

from __future__ import annotations

import pytest

from gscn.formats import BF16, FLOAT32, FP8_E4M3, FP8_E5M2, FP16, NUMBER_FORMATS

EXPECTED = {
    # name: (width, bias, significand bits, top exponent field, infinity, nan)
    "bf16": (16, 127, 8, 254, 0x7F80, 0x7FC0),
    "fp16": (16, 15, 11, 30, 0x7C00, 0x7E00),
    "fp8_e4m3": (8, 7, 4, 15, 0x7F, 0x7F),
    "fp8_e5m2": (8, 15, 3, 30, 0x7C, 0x7E),
    "float32": (32, 127, 24, 254, 0x7F800000, 0x7FC00000),
}


@pytest.mark.parametrize("fmt", [BF16, FP16, FP8_E4M3, FP8_E5M2, FLOAT32], ids=lambda f: f.name)
def test_derived_sizes_and_codes_are_those_of_the_specifications(fmt):
    found = (
        fmt.width, fmt.bias, fmt.significand_width, fmt.top_exponent, fmt.infinity, fmt.nan
    )  # fmt: skip
    assert found == EXPECTED[fmt.name]


def test_formats_have_the_numbers_of_job_descriptors():
    assert NUMBER_FORMATS == (None, BF16, FP16, FP8_E4M3, FP8_E5M2)
