"""Plans of forward passes and input gradients: bands of columns where tiles are few."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cycles.passes import simulate_passes
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering import kernel_plan
from gscn.lowering.pass_image import lower_pass
from gscn.lowering.plan import forget_plans, plan_pass
from gscn.outputs import OutputFormat
from tests.lowering.test_pass_image import check

LAYER = ConvShape(n=1, c=64, h=56, w=56, k=64, r=3, s=3, padding=(1, 1))
MANY = dataclasses.replace(ARRAYS["large"], clusters=64, ports=32)
KERNELS = (Pass.FORWARD, Pass.INPUT_GRAD)


def bands_of(config, shape, density=0.1):
    return [
        part.bands
        for which in KERNELS
        for part in plan_pass(config, shape, which, (density, density), out_bytes=2).parts
    ]


def test_maps_are_cut_into_bands_where_tiles_are_few_and_columns_many():
    assert bands_of(MANY, LAYER) == [4, 4]
    # a full batch has tiles enough, and a narrow map would be nearly all halo
    assert bands_of(MANY, dataclasses.replace(LAYER, n=32)) == [1, 1]
    assert bands_of(MANY, dataclasses.replace(LAYER, w=15)) == [1, 1]
    # 57 columns are no equal bands
    assert bands_of(MANY, dataclasses.replace(LAYER, w=57)) == [1, 1]


def test_jobs_are_tiles_of_all_bands():
    (part,) = plan_pass(MANY, LAYER, Pass.FORWARD, (0.1, 0.1), out_bytes=2).parts
    assert part.choice.tile_rows == 2
    assert part.jobs == 4 * 4 * 28


@pytest.mark.parametrize("which", KERNELS)
def test_bands_save_a_tenth_of_the_cycles_of_the_layer_of_simulators(which, monkeypatch):
    def cycles():
        forget_plans()
        pair = random_operands(LAYER, which, 0.1, 0.1, MANY.format, 0)
        image = lower_pass(MANY, LAYER, which, *pair, OutputFormat(width=16, shift=0))
        assert image.plan.parts[0].bands == ((len(kernel_plan.BANDS) and 4) or 1)
        return simulate_passes(
            MANY, image.image, image.descriptors_addr, image.descriptor_count, image.memory_bytes,
            latency=100,
        ).cycles  # fmt: skip

    with_bands = cycles()
    monkeypatch.setattr(kernel_plan, "BANDS", ())
    assert with_bands < 0.93 * cycles()
    forget_plans()


@pytest.mark.parametrize(
    "shape",
    [
        ConvShape(n=2, c=5, h=4, w=30, k=19, r=3, s=3, padding=(1, 1)),
        ConvShape(n=1, c=4, h=6, w=60, k=3, r=3, s=5, padding=(0, 2), stride=(2, 2)),
        ConvShape(n=1, c=4, h=5, w=90, k=3, r=2, s=2, stride=(1, 3), dilation=(1, 2)),
    ],
    ids=["padded", "strided", "dilated"],
)
@pytest.mark.parametrize("which", KERNELS)
@pytest.mark.parametrize("bands", [2, 3, 5])
def test_results_in_bands_are_those_of_the_oracle(shape, which, bands, monkeypatch):
    forget_plans()
    for name, value in (("BANDS", (bands,)), ("_BANDS_SAVE", np.inf), ("_LEAST_COLUMNS", 1)):
        monkeypatch.setattr(kernel_plan, name, value)
    monkeypatch.setattr(kernel_plan, "_BANDED_JOBS", np.inf)
    config = dataclasses.replace(ARRAYS["tiny"], acc_depth=256)
    planned = plan_pass(config, shape, which, (0.3, 0.3))
    assert {part.bands for part in planned.parts} <= {1, bands}
    assert bands in {part.bands for part in planned.parts}
    check(config, shape, which, random_operands(shape, which, 0.3, 0.3, config.format, 1))
    forget_plans()
