"""Statistics fitted to a tiny trace, kept in a file, and drawn into samples."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.golden.oracle.integers import useful_products
from gscn.perf.estimate.sampling import choose_sample, draw_operands, measure_sample
from gscn.perf.workload.statistics import (
    FITTED_KINDS,
    UNIFORM_STATISTICS,
    Kind,
    Statistics,
    fit,
    kinds_of,
    operand_kinds,
    read_statistics,
    write_statistics,
)
from gscn.perf.workload.unevenness import Unevenness, variation
from gscn.perf.workload.work import Work, inner_macs

SHAPE = ConvShape(n=8, c=32, h=12, w=12, k=32, r=3, s=3, padding=(1, 1))


def sample(which, kinds, products=10**9):
    work = Work(shape=SHAPE, which=which, first_density=0.1, second_density=0.4)
    return choose_sample(work, products=products, kinds=kinds)


@pytest.mark.parametrize(
    ("which", "prunes", "kinds"),
    [
        (Pass.FORWARD, True, (Kind.WEIGHTS, Kind.INPUTS)),
        (Pass.INPUT_GRAD, False, (Kind.WEIGHTS, Kind.GRADIENTS)),
        (Pass.WEIGHT_GRAD, True, (Kind.GRADIENTS, Kind.SAVED_INPUTS)),
        (Pass.WEIGHT_GRAD, False, (Kind.GRADIENTS, Kind.INPUTS)),
    ],
)
def test_operands_of_a_pass_are_of_the_kind_that_the_method_makes(which, prunes, kinds):
    assert operand_kinds(which, prunes=prunes) == kinds


@pytest.mark.parametrize("which", Pass)
def test_operands_of_a_transposed_layer_are_of_the_kinds_of_what_it_does(which):
    transposed = Work(
        shape=SHAPE, which=which.of_transposed, first_density=1.0, second_density=1.0,
        transposed=True,
    )  # fmt: skip
    ordinary = Work(shape=SHAPE, which=which, first_density=1.0, second_density=1.0)
    kinds = operand_kinds(which, prunes=True)
    assert kinds_of(ordinary, prunes=True) == kinds
    # Inputs stand where output gradients do.
    turned = which is Pass.WEIGHT_GRAD
    assert kinds_of(transposed, prunes=True) == (kinds[::-1] if turned else kinds)


def test_drawn_operands_have_shape_density_and_unevenness():
    one = sample(Pass.INPUT_GRAD, (Kind.WEIGHTS, Kind.GRADIENTS))
    first, second = draw_operands(one, seed=1)
    assert (first.shape, second.shape) == SHAPE.operand_shapes(Pass.INPUT_GRAD)
    assert first.mean() == pytest.approx(0.1, rel=0.1)
    assert second.mean() == pytest.approx(0.4, rel=0.1)
    # differences of gradients are uneven between samples, uniform ones are not
    _, uniform = draw_operands(sample(Pass.INPUT_GRAD, (Kind.UNIFORM, Kind.UNIFORM)), seed=1)
    assert variation(second)["first"] > 0.05 > abs(variation(uniform)["first"])
    assert uniform.mean() == pytest.approx(0.4, abs=1e-3)


def test_equal_seeds_draw_equal_operands():
    one = sample(Pass.WEIGHT_GRAD, (Kind.GRADIENTS, Kind.INPUTS))
    for a, b in zip(draw_operands(one, seed=2), draw_operands(one, seed=2), strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(draw_operands(one, seed=2)[0], draw_operands(one, seed=3)[0])


def test_a_drawn_sample_is_measured_on_its_own_operands():
    small = sample(Pass.FORWARD, (Kind.WEIGHTS, Kind.INPUTS), products=3000)
    measured = measure_sample(array("tiny"), small, seed=4)
    first, second = (operand.astype(np.int8) for operand in draw_operands(small, seed=4))
    assert measured.useful_products == useful_products(small.shape, Pass.FORWARD, first, second)
    assert measured.read_bytes > 0
    assert measured.write_bytes >= small.shape.n * small.shape.k * small.shape.p * small.shape.q


def test_the_package_has_statistics_of_every_kind_and_pass():
    statistics = read_statistics()
    assert set(statistics.unevenness) == set(Kind)
    assert statistics.unevenness[Kind.UNIFORM] == Unevenness()
    assert all(0.9 < statistics.products[which] < 1.1 for which in Pass)
    assert statistics.traces


def test_statistics_survive_their_file(tmp_path):
    statistics = Statistics(
        traces=("one",),
        unevenness=dict(UNIFORM_STATISTICS.unevenness) | {Kind.INPUTS: Unevenness(first=0.5)},
        products=dict.fromkeys(Pass, 0.5),
    )
    path = tmp_path / "statistics.json"
    write_statistics(path, statistics)
    assert read_statistics(path) == statistics
    path.write_text('{"traces": []}')
    read_statistics.cache_clear()
    with pytest.raises(InputError, match="must be a file of statistics"):
        read_statistics(path)


def test_a_fit_describes_a_real_step(tiny_trace):
    statistics = fit([tiny_trace])
    assert statistics.traces[0].startswith("digits, swat+resprop at 0.9")
    assert any(value for value in vars_of(statistics.unevenness[Kind.GRADIENTS]))
    # products of all layers but the first, counted by torch
    counted = expected = 0.0
    for layer in tiny_trace.layers[1:]:
        one = tiny_trace.load(layer).passes[Pass.FORWARD]
        masks = [(operand != 0).astype(np.int8) for operand in (one.first, one.second)]
        shape = tiny_trace.entry(layer).shape
        counted += useful_products(shape, Pass.FORWARD, *masks)
        expected += inner_macs(shape) * masks[0].mean() * masks[1].mean()
    assert statistics.products[Pass.FORWARD] == pytest.approx(counted / expected, abs=1e-4)


def test_traces_without_some_kind_are_refused():
    with pytest.raises(InputError, match=f"kinds {', '.join(FITTED_KINDS)}"):
        fit([])


def vars_of(unevenness):
    return [getattr(unevenness, name) for name in ("first", "second", "both", "position", "pixel")]
