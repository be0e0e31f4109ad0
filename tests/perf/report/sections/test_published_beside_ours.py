"""Claims name both baselines, and are made only of what was computed."""

from __future__ import annotations

import pytest

from gscn.perf.report.data import cases
from gscn.perf.report.sections import published_beside_ours
from tests.estimates import RIVAL_FACTORS
from tests.sections import words


def test_claims_name_both_baselines(swat):
    claims = published_beside_ours.swat_claims({cases.SWAT_90.key: swat})
    assert [claim.figure.key for claim in claims] == ["swat-forward-90", "swat-backward-90"]
    assert claims[0].ours == swat.speedup("forward")
    assert claims[0].ratio == pytest.approx(swat.speedup("forward") / 5.6)
    section = published_beside_ours.published_section(claims, ["something"])
    text = words(section)
    for claim in claims:
        assert f"{claim.what}: the products left allow" in text
        assert claim.baseline in text
        assert claim.figure.baseline in text
    assert "Not computed: something" in text


def test_the_mean_over_scnn_needs_all_five_networks(swat):
    own = {case.key: swat for case in cases.ANT_CASES}
    (claim,) = published_beside_ours.scnn_claims(own)
    assert claim.ours == pytest.approx(RIVAL_FACTORS["scnn+"])
    assert claim.figure.value == 3.71
    assert "our ANT-style is 3.0x there" in claim.terms
    own.pop(cases.ANT_CASES[0].key)
    assert published_beside_ours.scnn_claims(own) == []
