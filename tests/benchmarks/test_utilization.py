"""The page of consecutive iterations says what was measured, the worst of it included."""

from __future__ import annotations

from benchmarks import utilization
from benchmarks.step_figures import together
from tests.benchmarks.made_passes import DATA


def test_what_differs_in_rtl_is_quoted():
    quoted = utilization.quotes(DATA)
    assert (quoted["passes-rtl"], quoted["mismatches"], quoted["counters-differ"]) == (
        str(len(DATA["passes"])), "0", "0"
    )  # fmt: skip
    first = dict(DATA["passes"][0], mismatches=7, counters_differ=2)
    quoted = utilization.quotes(DATA | {"passes": [first, *DATA["passes"][1:]]})
    assert (quoted["mismatches"], quoted["counters-differ"]) == ("7", "2")


def test_the_worst_is_quoted_beside_means():
    quoted = utilization.quotes(DATA)
    assert quoted["least-3x3"] == "40.0 %"
    assert quoted["least-1x1"] == "45.0 %"
    assert quoted["iterations"] == "226 to 237"
    assert quoted["host-us"] == "30"
    assert quoted["lowering-lines"] == "2,300"
    sparse = [row for row in DATA["passes"] if row["iteration"] == 226]
    assert quoted["rtl-sparse"] == f"{100 * together(sparse, 64):.1f} %"
