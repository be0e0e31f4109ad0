"""Networks with made-up rows."""

from __future__ import annotations

import pytest

from gscn.perf.report.data import cases
from gscn.perf.report.data.estimated import Estimated
from tests.estimates import made_up_row, smaller


@pytest.fixture(scope="module")
def swat():
    case = smaller(cases.SWAT_90)
    return Estimated.of(case, made_up_row(case))


@pytest.fixture(scope="module")
def resprop():
    case = smaller(cases.RESPROP_CASES[0], network="resnet18")
    return Estimated.of(case, made_up_row(case))
