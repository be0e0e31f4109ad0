"""Formats of results: their codes and types, and those that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.errors import InputError
from gscn.outputs import OutputFormat
from gscn.records import OUT_INT16, OUT_INT32, OUT_WIDTHS


@pytest.mark.parametrize(("width", "code"), [(16, OUT_INT16), (32, OUT_INT32)])
def test_integers_have_the_code_of_their_width(width, code):
    out = OutputFormat(width=width)
    assert (out.code, OUT_WIDTHS[out.code]) == (code, width)
    assert out.dtype == np.dtype(f"<i{width // 8}")
    assert out.job_fields == {}


def test_all_bad_fields_are_named_at_once():
    with pytest.raises(InputError, match=r"width must be 16 or 32, not 8; shift .* 47, not 48"):
        OutputFormat(width=8, shift=48)
