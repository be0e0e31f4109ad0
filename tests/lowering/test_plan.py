"""Plans are made of shapes and classes of densities."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cycles.passes import simulate_passes
from gscn.dram import Dram
from gscn.errors import InputError
from gscn.lowering.pass_image import lower_pass
from gscn.lowering.plan import density_class, forget_plans, plan_pass
from gscn.outputs import OutputFormat
from gscn.perf.estimate.buffer import owners_of, replay
from tests.lowering.layers import PADDED, STRIDED, strided

LARGE = ARRAYS["large"]


def test_classes_are_eighths_of_a_decade():
    assert [density_class(one) for one in (1, 0.1, 0.01, 0, 1e-9)] == [0, -8, -16, -32, -32]
    assert density_class(0.95) == 0
    assert density_class(0.75) == -1


@pytest.mark.parametrize("which", Pass)
def test_densities_of_one_class_have_one_plan(which):
    plan = plan_pass(LARGE, PADDED, which, (0.1, 0.5))
    assert plan_pass(LARGE, PADDED, which, (0.105, 0.51)) is plan
    forget_plans()
    again = plan_pass(LARGE, PADDED, which, (0.1, 0.5))
    assert again is not plan
    assert again == plan


def test_a_plan_says_its_sizes_and_its_cycles():
    kernel = plan_pass(LARGE, PADDED, "forward", (0.1, 0.5))
    assert "weights held, 16 stationary channels x 1 samples x 2 rows x 8 columns" in str(kernel)
    grad = plan_pass(LARGE, PADDED, "weight-grad", (0.1, 0.5))
    assert "held, 16 stationary channels" in str(grad)
    assert kernel.cycles == kernel.parts[0].choice.cycles
    assert grad.cycles == grad.parts[0].choice.cycles


def grouped(c: int, k: int, groups: int, n: int = 32) -> ConvShape:
    return ConvShape(n=n, c=c, k=k, h=14, w=14, r=3, s=3, padding=(1, 1), groups=groups)


def test_groups_are_packed_into_vectors_and_the_rest_is_a_pack_of_its_own():
    for which in Pass:
        plan = plan_pass(LARGE, grouped(100, 100, 100), which, (0.1, 0.4))
        packs = list(dict.fromkeys(plan.packs))
        assert [pack.first for pack in packs] == list(
            itertools.accumulate([0, *(pack.groups for pack in packs[:-1])])
        )
        assert sum(pack.groups for pack in packs) == 100
        assert {pack.groups % 16 for pack in packs[:-1]} == {0}
        alone = plan_pass(LARGE, grouped(100, 100, 100), which, (0.1, 0.4), groups_meet=False)
        met = 1 if which is Pass.WEIGHT_GRAD else alone.packs[0].groups
        assert alone.packs[0].met == met
        assert plan.cycles <= alone.cycles
        assert plan.cycles == sum(
            part.choice.cycles * (len(part.runs) if which is Pass.WEIGHT_GRAD else 1)
            for part in plan.parts
        )


def test_groups_of_whole_vectors_are_not_packed_if_that_saves_nothing():
    plan = plan_pass(LARGE, grouped(512, 512, 2), Pass.FORWARD, (0.1, 0.4))
    one = plan_pass(LARGE, grouped(256, 256, 1), Pass.FORWARD, (0.1, 0.4))
    assert [pack.groups for pack in plan.packs] == [1, 1]
    assert plan.parts[0].choice == one.parts[0].choice
    assert str(plan) == f"2 x 1 groups, each {one}"


def test_a_plan_of_packs_says_so():
    plan = plan_pass(LARGE, grouped(36, 36, 36), Pass.WEIGHT_GRAD, (0.1, 0.4), groups_meet=False)
    assert str(plan).startswith("2 x 16 groups in 16 sets, each 1 x "), str(plan)
    assert "; 1 x 4 groups in 4 sets, each 1 x " in str(plan)


def test_samples_of_sets_are_as_many_as_a_descriptor_counts():
    shape = ConvShape(n=9000, c=64, k=64, h=1, w=1, r=1, s=1, groups=64)
    plan = plan_pass(LARGE, shape, Pass.WEIGHT_GRAD, (0.1, 0.4), groups_meet=False)
    assert max(pack.groups for pack in plan.packs) == 7


def test_reads_of_dram_of_packs_are_those_of_each():
    dram = Dram(bytes_per_cycle=8.0, buffer_bytes=1 << 20)
    for which in Pass:
        whole = plan_pass(LARGE, grouped(512, 512, 2), which, (0.1, 0.4), dram=dram)
        one = plan_pass(LARGE, grouped(256, 256, 1), which, (0.1, 0.4), dram=dram)
        assert {pack.groups for pack in whole.packs} == {1}
        assert whole.dram_reads == one.dram_reads


def test_what_does_not_fit_is_refused_by_name():
    shape = ConvShape(n=1, c=1, k=1, h=3, w=5000, r=3, s=3)
    with pytest.raises(InputError, match=r"must hold a tile of the weight-grad .* 4096, 4096 and"):
        plan_pass(LARGE, shape, Pass.WEIGHT_GRAD, (0.1, 0.1))


def test_strided_layers_are_planned_by_phases_where_that_is_cheaper():
    shape = ConvShape(n=32, c=256, k=512, h=8, w=8, r=3, s=3, stride=(2, 2), padding=(1, 1))
    sparse = plan_pass(LARGE, shape, Pass.INPUT_GRAD, (0.1, 0.02))
    assert len(sparse.parts) == 4  # each phase's weights fit the window, all of them do not
    small = dataclasses.replace(shape, c=16, k=16)
    assert len(plan_pass(LARGE, small, Pass.INPUT_GRAD, (0.1, 0.02)).parts) == 1
    shape = dataclasses.replace(shape, c=128, k=256, h=16, w=16)
    steps = [
        [part.step for part in plan_pass(LARGE, shape, Pass.WEIGHT_GRAD, (density, 0.1)).parts]
        for density in (0.02, 0.3)
    ]
    assert steps == [[1, 1, 1, 1], [2]]


def test_phases_of_a_strided_input_gradient_have_one_stream():
    parts = plan_pass(LARGE, strided(256), Pass.INPUT_GRAD, (0.1, 0.08)).parts
    assert len(parts) == 4
    assert len({part.stream for part in parts}) == 1
    assert len({part.choice.s_vectors for part in parts}) > 1


@pytest.mark.parametrize("shape", [PADDED, STRIDED])
@pytest.mark.parametrize("which", Pass)
def test_a_dram_that_is_no_limit_changes_no_plan(shape, which):
    for densities in ((0.1, 0.5), (1.0, 0.1)):
        plan = plan_pass(LARGE, shape, which, densities)
        behind = plan_pass(LARGE, shape, which, densities, dram=Dram(bytes_per_cycle=1e9))
        assert behind == plan
        assert plan.array_cycles == plan.cycles


@pytest.mark.parametrize("which", Pass)
def test_cycles_behind_dram_are_at_least_those_of_the_array_and_of_the_bytes(which):
    dram = Dram(bytes_per_cycle=0.5, buffer_bytes=1 << 20)
    plan = plan_pass(LARGE, STRIDED, which, (1.0, 0.1), dram=dram)
    results = 4 * np.prod(STRIDED.result_shape(which))
    assert plan.cycles >= max(plan.array_cycles, results / 0.5)


def test_reads_of_dram_are_those_of_all_parts():
    """The phases of the input are each read once, and the output gradient for each of them."""
    plan = plan_pass(
        LARGE, STRIDED, Pass.WEIGHT_GRAD, (1.0, 0.1),
        dram=Dram(bytes_per_cycle=8.0, buffer_bytes=1 << 20),
    )  # fmt: skip
    sides = [
        (one.choice.s_reads, one.choice.t_reads)[:: -1 if one.holds_input else 1]
        for one in plan.parts
        for _ in one.runs
    ]
    first, second = plan.dram_reads
    assert first == sum(one[0] for one in sides)
    assert second == sum(one[1] for one in sides) / len(plan.parts)


def test_a_driver_that_knows_of_dram_reads_less_and_is_faster():
    """Each pixel of 128 x 128 pointwise channels once, where tiles of the array alone take two."""
    shape = ConvShape(n=8, c=128, k=128, h=14, w=14, r=1, s=1)
    dram = Dram(bytes_per_cycle=1.0, buffer_bytes=1 << 16)
    # with a few others, a cluster falls behind by more than so small a buffer holds
    rng = np.random.default_rng(2)
    sizes = shape.operand_shapes(Pass.WEIGHT_GRAD)
    operands = (
        np.ones(sizes[0], np.int64), 2 * (rng.random(sizes[1]) < 0.1).astype(np.int64)
    )  # fmt: skip
    cycles, read = [], []
    for known in (None, dram):
        image = lower_pass(
            LARGE, shape, Pass.WEIGHT_GRAD, *operands, OutputFormat(width=16), dram=known
        )
        result = simulate_passes(
            LARGE, image.image, image.descriptors_addr, image.descriptor_count, image.memory_bytes,
            bursts=True, dram=dram,
        )  # fmt: skip
        cycles.append(result.cycles)
        moved = replay(LARGE, result.bursts, owners_of(image, result.bursts), 1 << 16)
        read.append(moved.total / image.operand_bytes)
    assert read[1] < 1.01 < 1.5 < read[0]
    assert cycles[1] < 0.6 * cycles[0]
    assert image.plan.cycles == pytest.approx(cycles[1], rel=0.02)
    assert image.plan.dram_reads == (1.0, 1.0)
