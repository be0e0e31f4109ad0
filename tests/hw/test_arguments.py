# amaranth: UnusedElaboratable=no
"""Leaf components refuse what no core can be made with, and say what would do."""

from __future__ import annotations

import pytest

from gscn.array import ARRAYS
from gscn.errors import InputError
from gscn.hw.cluster.tally import Tally
from gscn.hw.fifo import StreamFIFO
from gscn.hw.host.axi_errors import FirstError
from gscn.hw.pe.float_product import FloatProduct
from gscn.hw.pe.float_rounding import FloatRounder
from gscn.hw.pe.rounding import Rounder
from gscn.hw.port.arbiter import ReadArbiter, RoundRobin, WriteArbiter

TINY = ARRAYS["tiny"]


@pytest.mark.parametrize(
    ("component", "arguments", "message"),
    [
        (StreamFIFO, {"depth": 0}, "depth must be a whole number of at least 1, not 0"),
        (StreamFIFO, {"depth": 2.0}, "depth must be a whole number of at least 1, not 2.0"),
        (StreamFIFO, {"shape": "8"}, "shape must be a shape, not '8'"),
        (RoundRobin, {"count": 0}, "count must be a whole number of at least 1, not 0"),
        (ReadArbiter, {"count": -1}, "count must be a whole number of at least 1, not -1"),
        (WriteArbiter, {"count": 0}, "count must be a whole number of at least 1, not 0"),
        (FirstError, {"count": 0}, "count must be a whole number from 1 to 256, not 0"),
        (FirstError, {"count": 257}, "count must be a whole number from 1 to 256, not 257"),
        (Rounder, {"width": 0}, "width must be a whole number from 1 to 64, not 0"),
        (Rounder, {"width": 65}, "width must be a whole number from 1 to 64, not 65"),
        (Tally, {"count": 1}, "count must be a whole number of at least 2, not 1"),
        (Tally, {"most": 0}, "most must be a whole number of at least 1, not 0"),
        (Tally, {"width": 3}, "width must be a whole number of at least 4, not 3"),
        (FloatProduct, {}, "float_formats must be at least one format, not ''"),
        (FloatRounder, {}, "float_formats must be at least one format, not ''"),
    ],
)
def test_an_illegal_argument_is_refused_by_name(component, arguments, message):
    legal = {
        StreamFIFO: {"shape": 8, "depth": 1},
        RoundRobin: {"count": 1},
        Rounder: {"width": 48},
        Tally: {"count": 2, "most": 2, "width": 8},
        FloatProduct: {"config": TINY},
        FloatRounder: {"config": TINY},
    }.get(component, {"config": TINY, "count": 1})
    with pytest.raises(InputError) as error:
        component(**legal | arguments)
    assert str(error.value) == f"{component.__name__}: {message}"


@pytest.mark.parametrize(
    ("component", "arguments"),
    [
        (StreamFIFO, {"shape": 8, "depth": 1}),
        (StreamFIFO, {"shape": range(3), "depth": 5}),
        (RoundRobin, {"count": 1}),
        (FirstError, {"config": TINY, "count": 256}),
        (Rounder, {"width": 1}),
        (Rounder, {"width": 64}),
        (Tally, {"count": 2, "most": 2, "width": 4}),
    ],
)
def test_the_least_and_the_greatest_are_accepted(component, arguments):
    component(**arguments).elaborate(None)
