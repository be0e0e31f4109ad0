"""Speed-ups and their limits are sums over passes."""

from __future__ import annotations

import pytest

from gscn.perf.report.data.estimated import bound_shares, product_limit
from gscn.perf.report.data.rows import GROUPS
from tests.estimates import RIVAL_FACTORS, UTILIZATION


def test_speedups_are_ratios_of_sums(swat):
    for group, which in GROUPS.items():
        chosen = [p for p in swat.passes if p.which in which]
        expected = sum(p.dense_cycles for p in chosen) / sum(p.cycles for p in chosen)
        assert swat.speedup(group) == pytest.approx(expected)
        assert swat.speedup(group) == pytest.approx(swat.row[f"{group}_speedup_vs_dense"])
    assert swat.speedup("training", over="scnn+") == pytest.approx(RIVAL_FACTORS["scnn+"])
    assert swat.speedup("training", over="nobody") is None


def test_the_limit_is_reached_to_the_utilisation(swat):
    limit = product_limit(swat.passes, swat.config, "training")
    assert swat.speedup("training") / limit == pytest.approx(UTILIZATION, rel=1e-3)
    shares = bound_shares(swat.passes, swat.config)
    assert sum(shares.values()) == pytest.approx(1)
    # A pass whose operands take longer over the port than its products is not the multipliers'.
    products = sum(
        p.cycles
        for p in swat.passes
        if p.useful_products > p.ports.read_bytes and p.useful_products > p.ports.write_bytes
    )
    assert shares["multipliers"] == pytest.approx(products / sum(p.cycles for p in swat.passes))
    assert shares["multipliers"] > 0.5
