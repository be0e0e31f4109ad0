"""Descriptors of small passes, field by field as worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.lowering.descriptor import Numbers, descriptors, gang_size, help_limit
from gscn.lowering.plan import plan_pass
from gscn.passes import PASS_DESCRIPTOR

NUMBERS = Numbers(out_format=1, shift=3, number_format=0, window=0, out_bytes=4)
SHAPE = ConvShape(n=2, c=20, k=5, h=6, w=4, r=3, s=3, padding=(1, 1))
OPERANDS = (0x1000, 0x2000, 77, 0x3000, 0x4000, 99)


def fields(which, shape=SHAPE, config=ARRAYS["large"], densities=(0.1, 0.1)):
    """Plan and describe a pass; return its fields and where results are."""
    plan = plan_pass(config, shape, which, densities)
    made, ranges = descriptors(config, plan.parts[0], NUMBERS, OPERANDS, 0x8000)
    record = PASS_DESCRIPTOR.unpack(np.frombuffer(made[0], np.uint8))[0]
    return {name: int(record[name]) for name in record.dtype.names}, ranges


def test_a_forward_pass_by_hand():
    found, ranges = fields(Pass.FORWARD)
    expected = {
        "s_data": 0x1000, "s_table": 0x2000, "s_halfwords": 77,
        "t_data": 0x3000, "t_table": 0x4000, "t_halfwords": 99,
        "out_addr": 0x8000, "out_end": 0x8000 + 2 * 6 * 4 * 16 * 4,
        "s_tile_bytes": 2 * 6 * 4 * 64, "sample_bytes": 6 * 4 * 64, "row_bytes": 4 * 64,
        "pixel_bytes": 64, "mode": 0, "out_format": 1, "shift": 3, "team": 16, "chained": 0,
        "s_tiles": 1, "s_groups": 1, "s_mid": 3, "s_inner": 3, "taps_y": 3, "taps_x": 3,
        "lane_step": 9, "row_keys": 3, "x_step": 16, "s_offset_inner": 16, "first_col": -1,
        "samples": 2, "rows": 6, "cols": 4, "run": 16, "t_width": 4, "t_step": 1,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert found["s_keys"] == found["s_outer"] * 9
    assert found["y_step"] == found["s_offset_mid"] == 16 * found["tile_cols"]
    assert found["plane"] == found["y_step"] * found["tile_rows"]
    assert found["first_row"] == -1 - found["strips_before"] * found["t_rows"]
    assert found["s_outer"] * (found["s_chunks"] - 1) + found["s_outer_last"] == 20
    assert ranges == [(found["out_addr"], found["out_end"])]


def test_tiles_of_some_rows_need_the_strips_around_them():
    shape = dataclasses.replace(SHAPE, h=40, w=40)
    found, _ = fields(Pass.FORWARD, shape)
    assert found["tile_rows"] < 40
    assert found["tile_rows"] == found["tile_strips"] * found["t_rows"]
    assert (found["strips_before"], found["strips_after"]) == (1, found["tile_strips"] + 1)
    assert found["first_row"] == -1 - found["t_rows"]


def test_a_weight_gradient_by_hand():
    found, _ = fields(Pass.WEIGHT_GRAD)
    lanes = (16 << found["t_vectors"]) >> found["t_split"]
    held = 16 << found["s_vectors"]
    expected = {
        "mode": 1, "s_mid": 1, "s_inner": 4, "rows": 6, "cols": 4, "t_width": 4, "t_step": 1,
        "taps_y": 3, "taps_x": 3, "row_keys": 4, "first_row": -1, "first_col": -1,
        "run": lanes * 9 * held, "t_tile_bytes": lanes * 9 * held * 4,
        "s_tile_bytes": found["t_tiles"] * found["t_tile_bytes"], "samples": 2,
        "lane_step": 9 * held, "row_step": 3 * held, "x_step": 4096 - held,
        "s_offset_inner": held,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected


def test_stationary_tiles_have_gangs_of_as_many_clusters_as_there_are():
    sizes = [gang_size(16, tiles) for tiles in (1, 2, 3, 4, 7, 16, 40)]
    assert sizes == [16, 8, 4, 4, 2, 1, 1]
    assert [gang_size(6, tiles) for tiles in (1, 2, 3, 4)] == [6, 3, 2, 1]


def test_the_last_of_many_steps_is_left_to_its_own_gang():
    assert [help_limit(steps, 4) for steps in (1, 7, 8, 32)] == [0, 0, 4, 4]


@pytest.mark.parametrize("team", [1, 4])
def test_only_teams_of_several_clusters_are_chained(team):
    plan = plan_pass(ARRAYS["large"], SHAPE, Pass.WEIGHT_GRAD, (0.1, 0.1)).parts[0]
    plan = plan._replace(choice=plan.choice._replace(team=team, gang=4))
    made, _ = descriptors(ARRAYS["large"], plan, NUMBERS, OPERANDS, 0x8000)
    found = PASS_DESCRIPTOR.unpack(np.frombuffer(made[0], np.uint8))[0]
    assert found["chained"] == (team > 1)
    assert found["team"] == 4


def test_results_of_several_passes_lie_one_behind_the_other():
    shape = dataclasses.replace(SHAPE, dilation=(2, 2), padding=(2, 2))
    plan = plan_pass(ARRAYS["large"], shape, Pass.WEIGHT_GRAD, (0.1, 0.1))
    made, ranges = descriptors(ARRAYS["large"], plan.parts[0], NUMBERS, OPERANDS, 0x8000)
    assert len(made) == len(ranges) == 9
    assert ranges[0][0] == 0x8000
    assert all(low < high for low, high in ranges)
    assert [high for _, high in ranges[:-1]] == [low for low, _ in ranges[1:]]


def test_a_size_beyond_its_field_is_named():
    shape = ConvShape(n=70_000, c=1, k=1, h=1, w=1, r=1, s=1)
    with pytest.raises(InputError, match="samples of a pass must be 0 to 65535, not 70000"):
        fields(Pass.FORWARD, shape)
