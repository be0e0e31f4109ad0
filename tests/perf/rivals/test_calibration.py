"""The models of rivals against what public simulators say of the same layers."""

from __future__ import annotations

import pytest

from benchmarks.rivals import (
    ANT_NETWORKS,
    PUBLISHED_ANT,
    TOLERANCE,
    compute_calibration,
    compute_network,
    compute_network_calibration,
    geometric_mean,
)
from benchmarks.rivals_points import LAYER, NETWORK_POINTS, POINTS, Point
from benchmarks.rivals_text import REASONS
from gscn.conv import Pass
from gscn.perf.rivals import VARIANTS


def is_long(point: Point) -> bool:
    """Return whether a point takes more than a second: every product of it goes to its bank."""
    dense = point.first_density == 1 or point.which is Pass.WEIGHT_GRAD
    return point.rival == "scnn (DNNsim)" and dense


def name(point) -> str:
    """Return a name for a point."""
    return f"{point.rival}, {getattr(point, 'multipliers', '')} {point.label}"


def check(rows):
    """Require each model within the tolerance of its tool, or a reason on the page."""
    for row in rows:
        ratio = row["ours"] / row["theirs"]
        near = 1 - TOLERANCE <= ratio <= 1 + TOLERANCE
        assert near != ((row["rival"], row["case"]) in REASONS), (row, ratio)


@pytest.mark.parametrize("point", [pytest.param(p, id=name(p)) for p in POINTS if not is_long(p)])
def test_a_layer_takes_what_its_simulator_says(point):
    check(compute_calibration([point]))


@pytest.mark.slow
@pytest.mark.parametrize("point", [pytest.param(p, id=name(p)) for p in POINTS if is_long(p)])
def test_a_layer_of_many_products_takes_what_its_simulator_says(point):
    check(compute_calibration([point]))


@pytest.mark.slow
@pytest.mark.parametrize("point", [pytest.param(p, id=name(p)) for p in NETWORK_POINTS])
def test_a_network_takes_what_its_simulator_says(point):
    check(compute_network_calibration([point]))


@pytest.mark.slow
def test_anticipation_wins_on_five_networks_what_is_published():
    models = [VARIANTS[name] for name in ("scnn+ planes", "ant planes")]
    ratios = []
    for name, image_size in next(iter(ANT_NETWORKS.values())):
        scnn, ant = compute_network(name, image_size, models)
        ratios.append(scnn / ant)
    assert geometric_mean(ratios) == pytest.approx(PUBLISHED_ANT, rel=TOLERANCE)


def test_the_tolerance_is_a_tenth_and_one_point_alone_has_a_reason():
    assert TOLERANCE == 0.1
    assert len(REASONS) == 1


def test_models_compared_are_never_slower_than_their_simulators():
    points = [p for p in POINTS if p.rival in ("scnn (DNNsim)", "sigma (STONNE)")]
    for row in compute_calibration([p for p in points if not is_long(p)]):
        assert row["compared"] <= row["theirs"], row


def test_arithmetic_of_the_page():
    # STONNE: 16 fillings of four whole rows; SCALE-Sim: fillings of 16x16, loaded and emptied
    pixels, taps = LAYER.p * LAYER.q, LAYER.c * LAYER.r * LAYER.s
    folds = (taps // 16) * (LAYER.k // 16)
    assert folds * (pixels + 46) - 1 == 458_207
    assert (pixels // 16) * (taps // 16) == 7056
    assert 7056 * (LAYER.k + 46) - 1 == 776_159
    # DNNsim: halos of a 56x56 kernel, one partial sum a cycle
    assert 54 * 54 * LAYER.k * LAYER.c == 11_943_936
