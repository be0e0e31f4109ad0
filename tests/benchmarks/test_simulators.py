"""One layer beside public simulators: sums, and what texts quote of them."""

from __future__ import annotations

from benchmarks import simulators
from gscn.conv import Pass


def test_the_comparison_sums_what_was_measured():
    rows = [
        {
            "config": config.to_dict(),
            "conditions": "conditions",
            "passes": [
                {"pass": str(which), "cycles": cycles, "useful_products": 256_000 + 1}
                for which, cycles in zip(Pass, (1000, 2000, 3000), strict=True)
            ],
        }
        for config in simulators.configurations()
    ]
    lines = simulators.render(rows).splitlines()
    assert (
        "| **GSCN, RTL, 32 ports of 512 bits** | **1000** | **2000** | **3000** | **6000** |"
        in lines
    )
    assert "| *every multiplier always busy* | 1001 | 1001 | 1001 | 3003 |" in lines
    for config in simulators.configurations():
        assert config.multipliers == simulators.MULTIPLIERS


def test_texts_quote_the_sum_of_the_passes_and_the_least_of_the_simulators():
    passes = [
        {"pass": str(which), "cycles": 500, "utilization": share}
        for which, share in zip(Pass, (0.5, 0.25, 0.125), strict=True)
    ]
    beside = [
        {"config": config.to_dict(), "passes": passes} for config in simulators.configurations()
    ]
    quoted = simulators.quotes({"large": {"passes": passes}, "beside": beside})
    assert quoted["cycles-32-ports"] == quoted["cycles-1-ports"] == "1,500"
    # STONNE's three passes, from its figures.
    assert quoted["cycles-simulators"] == f"{50_381 + 50_381 + 72_803:,}"
    assert quoted["large-weight-grad"] == "12.5 %"
