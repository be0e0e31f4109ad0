"""Selection of the largest magnitudes against torch's own selection, on every kind of tensor."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gscn.errors import InputError
from gscn.golden.methods import selection
from gscn.golden.methods.selection import (
    count_nonzeros,
    keep_larger,
    keep_largest,
    kept_count,
    magnitude_threshold,
)
from gscn.golden.methods.targets import density_of

TYPES = [torch.float32, torch.bfloat16, torch.float64, torch.float16]
LARGE = selection.SMALLEST_SAMPLED + 12_345


def kth(values: torch.Tensor, count: int) -> torch.Tensor:
    return torch.kthvalue(values.abs().flatten(), values.numel() - count + 1).values


def same(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return found.dtype == expected.dtype and torch.equal(
        found.nan_to_num(nan=-1.0), expected.nan_to_num(nan=-1.0)
    )


def large_tensors(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    normal = torch.randn(LARGE, generator=generator)
    structured = torch.zeros(64, 1024)
    structured[:, ::64] = torch.randn(64, 16, generator=generator)
    infinite, invalid = normal.clone(), normal.clone()
    infinite[:: LARGE // 50] = -torch.inf
    invalid[:: LARGE // 50] = torch.nan
    few = torch.zeros(LARGE)
    few[LARGE // 2] = -3.0
    kinds = {
        "normal": normal,
        "relu": normal.relu(),
        "capped": (4 * normal).clamp(-1, 1),
        "coarse": (2 * normal).round(),
        "constant": torch.full((LARGE,), -2.5),
        "zero": torch.zeros(LARGE),
        "one nonzero": few,
        "infinite": infinite,
        "not a number": invalid,
        "sorted": normal.sort().values,
        "columns": structured,
        "tiny": normal * torch.finfo(dtype).tiny,
        "wide": normal * torch.exp(8 * torch.randn(LARGE, generator=generator)),
    }
    return {name: values.to(dtype) for name, values in kinds.items()}


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_threshold_of_large_tensors_is_that_of_torch(dtype):
    for name, values in large_tensors(dtype).items():
        total = values.numel()
        for count in {1, 2, 50, 51, total // 10, total // 2, total - total // 3, total - 1, total}:
            found = magnitude_threshold(values, count)
            assert same(found, kth(values, count)), (name, count)


@given(
    values=st.lists(
        st.floats(width=32, allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0, -1.0]), min_size=1
    ),
    count=st.integers(1, 1000),
    sample=st.sampled_from([2, 8, 8192]),
    dtype=st.sampled_from(TYPES),
)
def test_threshold_of_any_tensor_is_that_of_torch_when_sampled(values, count, sample, dtype):
    tensor = torch.tensor(values).to(dtype)
    count = 1 + count % tensor.numel()
    with pytest.MonkeyPatch.context() as patch:
        # Short tensors go through the sampling, with bounds that often miss.
        patch.setattr(selection, "SMALLEST_SAMPLED", 1)
        patch.setattr(selection, "SAMPLE_COUNT", sample)
        patch.setattr(selection, "_DEVIATIONS", 0)
        patch.setattr(selection, "_BLOCK", 7)
        assert same(magnitude_threshold(tensor, count), kth(tensor, count))


def test_any_memory_format_is_selected_from():
    values = torch.randn(8, 16, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = kth(values, 1000)
    for other in (values.to(memory_format=torch.channels_last), values.transpose(0, 3)):
        assert same(magnitude_threshold(other, 1000), expected)
    strided = values[:, ::2]
    assert same(magnitude_threshold(strided, 1000), kth(strided, 1000))
    assert count_nonzeros(values[:, ::2].relu()) == torch.count_nonzero(values[:, ::2].relu())


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_kept_are_those_at_the_threshold_or_beyond(dtype):
    for name, values in large_tensors(dtype).items():
        if name == "not a number":
            continue
        for count in (1, values.numel() // 3, values.numel()):
            threshold = kth(values, count)
            zero = values.new_zeros(())
            inclusive = torch.where(values.abs() >= threshold, values, zero)
            exclusive = torch.where(values.abs() > threshold, values, zero)
            assert torch.equal(keep_largest(values, threshold.double()), inclusive), name
            assert torch.equal(keep_larger(values, threshold.double()), exclusive), name
            assert torch.count_nonzero(inclusive) == count_nonzeros(inclusive), name
            changed = values.clone()
            assert keep_larger(changed, threshold, in_place=True) is changed
            assert torch.equal(changed, exclusive), name


def test_not_a_number_and_minus_zero_stay():
    values = torch.tensor([torch.nan, -0.0, 0.5] * 20)
    kept = keep_largest(values, torch.tensor(1.0))
    assert torch.isnan(kept[::3]).all()
    assert not kept[2::3].any()
    assert torch.signbit(keep_largest(values, torch.tensor(0.0))[1::3]).all()
    assert count_nonzeros(values) == 40


@pytest.mark.parametrize(
    ("sparsity", "element_count", "kept"),
    [(0.7, 10, 3), (0.8, 10, 2), (0.9, 10, 1), (0.99, 10, 1), (0.0, 7, 7), (0.75, 9, 3)],
)
def test_kept_count_rounds_up_in_decimal(sparsity, element_count, kept):
    assert kept_count(density_of(sparsity), element_count) == kept
    assert density_of(sparsity) == 1 - Fraction(str(sparsity))


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match="count must be from 1 to the 3 elements, not 4"):
        magnitude_threshold(torch.ones(3), 4)
    with pytest.raises(InputError, match=r"must be of a floating-point type, not .*; count must"):
        magnitude_threshold(torch.ones(3, dtype=torch.int32), 0)
