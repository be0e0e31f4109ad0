"""Lowered programs, executed by the functional model, equal torch's convolution exactly."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.emulator.functional import execute
from gscn.errors import InputError
from gscn.golden.oracle.integers import conv_integers, useful_products
from gscn.lowering import LoweringOptions, lower
from gscn.program import OutputFormat, Program
from tests.lowering.layers import PADDED, SMALL, TINY, operands, shapes, with_pes

WIDE = OutputFormat(width=32)


def check(program: Program, first: np.ndarray, second: np.ndarray) -> None:
    """Execute and compare with the oracle, exactly; require silence from every flag."""
    executed = execute(program)
    exact = conv_integers(program.shape, program.which, first, second)
    np.testing.assert_array_equal(program.result(executed.memory), exact)
    assert not executed.accumulator_overflow
    assert not executed.saturated
    assert program.useful_products == useful_products(program.shape, program.which, first, second)
    assert executed.products.tolist() == [list(job.products) for job in program.jobs]
    made = int(executed.products.sum())
    assert made >= program.useful_products
    assert made == program.useful_products or "guarded" in program.plan
    assert executed.hits <= executed.products.sum()


@settings(max_examples=60)
@given(
    shape=shapes(),
    which=st.sampled_from(list(Pass)),
    options=st.builds(
        LoweringOptions,
        stationary=st.sampled_from(["first", "second", "auto"]),
        trim=st.sampled_from([True, False, None]),
        contraction_parts=st.sampled_from([None, 1, 3]),
        fold=st.sampled_from([True, False, None]),
        candidates=st.just(2),
    ),
    config=st.builds(with_pes, st.sampled_from([TINY, SMALL]), st.sampled_from([1, 2, 4])),
    density=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    seed=st.integers(0, 1 << 30),
)
def test_any_layer_equals_the_oracle(shape, which, options, config, density, seed):
    first, second = operands(seed, shape, which, density)
    check(lower(config, shape, which, first, second, WIDE, options), first, second)


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("stationary", ["first", "second"])
@pytest.mark.parametrize(
    "shape",
    [
        ConvShape(n=1, c=40, h=3, w=3, k=30, r=3, s=3, padding=(1, 1)),
        ConvShape(n=1, c=2, h=4, w=300, k=2, r=3, s=3, padding=(1, 1)),
        ConvShape(n=1, c=1, h=300, w=1, k=1, r=5, s=1, padding=(2, 0), stride=(2, 1)),
        ConvShape(n=1, c=2, h=14, w=14, k=3, r=11, s=11, padding=(2, 2), stride=(4, 4)),
        ConvShape(n=5, c=30, h=1, w=1, k=20, r=1, s=1),
        ConvShape(n=1, c=1, h=20, w=20, k=1, r=20, s=20, padding=(9, 9)),
    ],
    ids=["deep", "wide", "tall", "alexnet", "linear", "giant-kernel"],
)
def test_layers_that_do_not_fit_at_once_are_split(shape, stationary, which):
    first, second = operands(5, shape, which, 0.7)
    options = LoweringOptions(stationary=stationary, candidates=1)
    check(lower(TINY, shape, which, first, second, WIDE, options), first, second)


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("name", ["int8", "int16"])
def test_extreme_values_are_exact_and_saturate(which, name):
    config = dataclasses.replace(SMALL, operand_format=name)
    fmt = config.format
    first, second = operands(3, PADDED, which, 0.6, 1)
    first = np.where(first < 0, fmt.minimum, first * fmt.maximum)
    second = np.where(second < 0, fmt.minimum, second * fmt.maximum)
    exact = conv_integers(PADDED, which, first, second)
    program = lower(config, PADDED, which, first, second, OutputFormat(width=16))
    executed = execute(program)
    assert executed.saturated
    np.testing.assert_array_equal(
        program.result(executed.memory), np.clip(exact, -(1 << 15), (1 << 15) - 1)
    )


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("parts", [1, 4])
def test_results_are_shifted_and_rounded_to_even(which, parts):
    first, second = operands(4, PADDED, which, 0.6, 20)
    exact = conv_integers(PADDED, which, first, second)
    program = lower(
        SMALL, PADDED, which, first, second, OutputFormat(width=16, shift=2),
        LoweringOptions(contraction_parts=parts),
    )  # fmt: skip
    expected = np.rint(exact / 4).astype(np.int64)
    assert (exact % 4 == 2).any()
    np.testing.assert_array_equal(program.result(execute(program).memory), expected)
    assert len(program.phases) == (1 if parts == 1 else 2)


@pytest.mark.parametrize("which", Pass)
def test_lowering_is_deterministic(which):
    first, second = operands(6, PADDED, which)
    programs = [lower(SMALL, PADDED, which, first, second, WIDE) for _ in range(2)]
    np.testing.assert_array_equal(programs[0].image, programs[1].image)
    assert programs[0].phases == programs[1].phases


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("option", [{"balance": False}, {"reorder": False}])
def test_baselines_without_balance_are_exact_too(which, option):
    first, second = operands(7, PADDED, which)
    options = LoweringOptions(**option)
    check(lower(TINY, PADDED, which, first, second, WIDE, options), first, second)


@pytest.mark.parametrize("which", Pass)
def test_memory_layout_is_aligned_and_disjoint(which):
    first, second = operands(8, PADDED, which)
    options = LoweringOptions(contraction_parts=3)
    program = lower(TINY, PADDED, which, first, second, WIDE, options)
    assert all(phase.queue_addr % 64 == 0 for phase in program.phases)
    assert all(start % 64 == 0 for start, _ in program.output_ranges)
    edges = [program.image.size]
    for start, end in sorted(program.output_ranges):
        assert edges[-1] <= start < end
        edges.append(end)
    assert edges[-1] <= program.memory_bytes


def test_operands_out_of_range_are_refused_by_name():
    config = dataclasses.replace(SMALL, operand_format="int8")
    first, second = operands(9, PADDED, Pass.FORWARD)
    second = second.copy()
    second[0, 0, 0, 0] = -129
    with pytest.raises(InputError, match=r"inputs must lie in \[-128, 127\] \(int8\), not -129"):
        lower(config, PADDED, Pass.FORWARD, first, second, WIDE)
    with pytest.raises(InputError, match="weights must have shape"):
        lower(config, PADDED, Pass.FORWARD, first[:1], second, WIDE)
    with pytest.raises(InputError, match="weights must hold integers"):
        lower(config, PADDED, Pass.FORWARD, first.astype(float), second, WIDE)


@pytest.mark.parametrize("which", Pass)
def test_accumulator_overflow_is_refused_exactly_at_the_bound(which):
    config = dataclasses.replace(SMALL, acc_width=32)
    shape = ConvShape(n=2, c=2, h=2, w=2, k=2, r=1, s=1)
    first, second = (np.zeros(s, dtype=np.int64) for s in shape.operand_shapes(which))
    # two products meet in one result
    terms = {
        Pass.FORWARD: (np.s_[0, :, 0, 0], np.s_[0, :, 0, 0]),
        Pass.INPUT_GRAD: (np.s_[:, 0, 0, 0], np.s_[0, :, 0, 0]),
        Pass.WEIGHT_GRAD: (np.s_[:, 0, 0, 0], np.s_[:, 0, 0, 0]),
    }[which]
    first[terms[0]], second[terms[1]] = -32768, 32767
    # 2 x 32768 x 32767 = 2147418112 fits 2147483647, 2 x 32768 x 32768 does not
    check(lower(config, shape, which, first, second, WIDE), first, second)
    second[terms[1]] = -32768
    with pytest.raises(InputError, match="acc_width must hold sums of magnitudes up to 2147483648"):
        lower(config, shape, which, first, second, WIDE)


def test_options_and_formats_name_what_is_wrong():
    with pytest.raises(InputError, match="stationary must be auto, first or second, not 'both'"):
        LoweringOptions(stationary="both")
    with pytest.raises(InputError, match="contraction_parts must be at least 1, not 0"):
        LoweringOptions(contraction_parts=0)
    with pytest.raises(InputError, match="width must be 16 or 32, not 8; shift must be 0 to 47"):
        OutputFormat(width=8, shift=48)
    first, second = operands(1, PADDED, Pass.FORWARD)
    program = lower(TINY, PADDED, Pass.FORWARD, first, second, WIDE)
    with pytest.raises(InputError, match="memory must be a uint8 vector"):
        program.result(np.zeros(10, dtype=np.uint8))
