"""Division of layers among slices, and bytes of DRAM, by hand."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.estimate.closed_form import closed_form_costs
from gscn.perf.estimate.memory import compressed_bytes
from gscn.perf.estimate.slices import _part, sliced_costs
from gscn.perf.workload.work import Work

LARGE = array("large")
SHAPE = ConvShape(n=16, c=64, h=28, w=28, k=128, r=3, s=3, padding=(1, 1))


def work(which=Pass.FORWARD, shape=SHAPE):
    return Work(shape=shape, which=which, first_density=0.1, second_density=0.5)


def test_one_slice_is_the_closed_form_itself():
    works = [work(which) for which in Pass]
    for one, cost in zip(
        sliced_costs(LARGE, 1, works), closed_form_costs(LARGE, works), strict=True
    ):
        assert one.slice_cycles == pytest.approx(cost.cycles)
        assert one.ideal_cycles == pytest.approx(cost.useful_products / 64)


@pytest.mark.parametrize("which", Pass)
def test_more_slices_are_faster_but_not_more_than_their_number(which):
    one, four, many = (sliced_costs(LARGE, count, [work(which)])[0] for count in (1, 4, 56))
    assert one.slice_cycles > four.slice_cycles > many.slice_cycles
    assert four.slice_cycles >= one.ideal_cycles / 4
    assert many.slice_cycles >= many.ideal_cycles
    assert one.dram_bytes == many.dram_bytes


def test_groups_are_divided_where_channels_of_others_are():
    grouped = dataclasses.replace(SHAPE, c=12, k=24, groups=6)
    for division, groups in (((1, 1, 4, 1), 2), ((1, 1, 6, 1), 1), ((2, 1, 1, 1), 6)):
        part, share = _part(grouped, division)
        assert (part.groups, part.group) == (groups, dataclasses.replace(grouped.group, n=part.n))
        assert share == pytest.approx(groups / 6 * part.n / grouped.n)


def test_the_largest_part_decides():
    # five images among two slices are three for one of them
    shape = dataclasses.replace(SHAPE, n=5, c=1, k=1, h=1, w=28, padding=(0, 1), r=1)
    (cost,) = sliced_costs(LARGE, 2, [Work(
        shape=shape, which=Pass.FORWARD, first_density=1.0, second_density=1.0
    )])  # fmt: skip
    assert cost.division == (2, 1, 1, 1)
    (three,) = closed_form_costs(
        LARGE,
        [Work(shape=dataclasses.replace(shape, n=3), which=Pass.FORWARD,
              first_density=1.0, second_density=1.0)],
    )  # fmt: skip
    assert cost.slice_cycles == pytest.approx(three.cycles)


@pytest.mark.parametrize("which", Pass)
def test_dram_moves_operands_and_results_once(which):
    (cost,) = sliced_costs(LARGE, 4, [work(which)])
    assert cost.dram_bytes == compressed_bytes(SHAPE, which, 0.1, 0.5).total_bytes


def test_no_slice_is_refused():
    with pytest.raises(InputError, match="slices must be at least 1, not 0"):
        sliced_costs(LARGE, 0, [work()])
