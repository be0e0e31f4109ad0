"""Selection of the elements of largest magnitude, exact, without sorting the tensor.

A sorted sample bounds the threshold from both sides; one pass over the tensor counts what lies
above and collects what lies between the bounds; the threshold is selected among the few collected.
The bits of a floating-point number without its sign, read as an integer, are ordered as magnitudes
are, so that one algorithm on integers serves every type; not-a-number sorts above infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gscn.errors import InputError

_BITS = {
    torch.float64: torch.int64,
    torch.float32: torch.int32,
    torch.float16: torch.int16,
    torch.bfloat16: torch.int16,
}
"""Integers of the same width."""
SAMPLE_COUNT = 8192
SMALLEST_SAMPLED = 32768
"""Elements from which sampling is faster than `torch.kthvalue` (`python -m benchmarks`)."""
_BLOCK = 1 << 17
"""Elements treated at a time, so that the temporaries stay in the cache."""
_DEVIATIONS = 4
"""Standard deviations of the sample's rank between the expected threshold and its bounds."""


def kept_count(density: Fraction, element_count: int) -> int:
    """Return ceil(density * element_count), exactly."""
    return math.ceil(density * element_count)


def magnitude_threshold(values: Tensor, count: int) -> Tensor:
    """Return the `count`-th largest magnitude of the elements of a tensor.

    Equal to `torch.kthvalue(values.abs().flatten(), values.numel() - count + 1).values`.

    Parameters
    ----------
    values
        float64, float32, float16 or bfloat16, of any shape and memory format.
    count
        Elements to keep, from 1 to all.

    Returns
    -------
    Tensor
        Scalar of the type of `values`.

    Raises
    ------
    InputError
        Count or type out of range.
    """
    total = values.numel()
    problems = []
    if values.dtype not in _BITS:
        problems.append(f"values must be of a floating-point type, not {values.dtype}")
    if not 1 <= count <= total:
        problems.append(f"count must be from 1 to the {total} elements, not {count}")
    if problems:
        raise InputError("; ".join(problems))
    flat = _flat(values.detach())
    if flat.device.type != "cpu" or total < SMALLEST_SAMPLED:
        return torch.kthvalue(flat.abs(), total - count + 1).values
    bits = flat.view(_BITS[values.dtype]).numpy()
    found = np.array([_select(bits, count)], dtype=bits.dtype)
    return torch.from_numpy(found).view(values.dtype)[0]


def keep_largest(values: Tensor, threshold: Tensor) -> Tensor:
    """Return `values` with zeros where the magnitude is under the threshold; ties are kept.

    The threshold, a scalar of any type, is first rounded to the type of the values.
    """
    threshold = threshold.to(values.dtype)
    if values.device.type != "cpu":
        return torch.where(values.abs() >= threshold, values, 0)
    # A magnitude is at least the threshold if it exceeds the number before it.
    return keep_larger(values, torch.nextafter(threshold, threshold.new_tensor(-math.inf)))


def keep_larger(values: Tensor, threshold: Tensor, *, in_place: bool = False) -> Tensor:
    """Return `values` with zeros where the magnitude does not exceed the threshold.

    The threshold, a scalar of any type, is first rounded to the type of the values.
    """
    threshold = threshold.to(values.dtype)
    if values.device.type != "cpu":
        # A device would have to be waited for to read the threshold.
        return torch.where(values.abs() > threshold, values, 0)
    # Many times as fast on a CPU as comparing and choosing.
    if in_place:
        return torch.ops.aten.hardshrink.out(values, threshold.item(), out=values)
    return functional.hardshrink(values, threshold.item())


def count_nonzeros(values: Tensor) -> Tensor:
    """Return the number of nonzero elements, as a scalar on the device of a tensor.

    As `torch.count_nonzero`, which on a CPU branches at every element and so takes many times as
    long where zeros come at random.
    """
    if values.device.type != "cpu" or values.dtype not in _BITS or not values.numel():
        return torch.count_nonzero(values)
    bits = _flat(values.detach()).view(_BITS[values.dtype]).numpy()
    return torch.tensor(sum(np.count_nonzero(block != 0) for block in _blocks(bits)))


def _flat(values: Tensor) -> Tensor:
    """Return the elements in any order, without a copy if they fill their memory."""
    if torch.ops.aten.is_non_overlapping_and_dense(values):
        return values.as_strided((values.numel(),), (1,))
    return values.flatten()


def _select(bits: np.ndarray, count: int) -> int:
    """Return the `count`-th largest of `bits` without their signs."""
    # An odd step meets every column and channel of tensors whose sizes are powers of two.
    sample = np.sort(bits[:: (len(bits) // SAMPLE_COUNT) | 1] & _magnitude(bits))
    share = 1 - count / len(bits)
    margin = int(_DEVIATIONS * math.sqrt(len(sample) * share * (1 - share))) + 2
    middle = int(share * len(sample))
    low = sample[max(middle - margin, 0)]
    high = sample[min(middle + margin, len(sample) - 1)]
    # Ties with a bound are never collected: a large share of the outputs of a ReLU are zero.
    at_least_high, parts = 0, []
    for block in _blocks(bits):
        under = block < high
        at_least_high += len(block) - np.count_nonzero(under)
        parts.append(block[np.logical_and(under, block > low, out=under)])
    between = np.concatenate(parts)
    if count <= at_least_high:
        larger = _collect(bits, lambda block: block > high)
        return int(high) if count > len(larger) else _largest(larger, count)
    count -= at_least_high
    if count <= len(between):
        return _largest(between, count)
    count -= len(between)
    if low < high:
        count -= sum(np.count_nonzero(block == low) for block in _blocks(bits))
        if count <= 0:
            return int(low)
    return _largest(_collect(bits, lambda block: block < low), count)


def _magnitude(bits: np.ndarray) -> int:
    """Return the mask of all bits but the sign."""
    return np.iinfo(bits.dtype).max


def _blocks(bits: np.ndarray) -> Iterator[np.ndarray]:
    """Yield magnitudes block by block, each in the same memory."""
    scratch = np.empty(min(_BLOCK, len(bits)), bits.dtype)
    for start in range(0, len(bits), _BLOCK):
        block = bits[start : start + _BLOCK]
        yield np.bitwise_and(block, _magnitude(bits), out=scratch[: len(block)])


def _collect(bits: np.ndarray, chosen: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the magnitudes that are chosen."""
    return np.concatenate([block[chosen(block)] for block in _blocks(bits)])


def _largest(magnitudes: np.ndarray, count: int) -> int:
    """Return the `count`-th largest."""
    chosen = torch.kthvalue(torch.from_numpy(magnitudes), len(magnitudes) - count + 1)
    return int(chosen.values)
