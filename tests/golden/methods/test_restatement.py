"""Every method, forward and backward, against its slow restatement, on random layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gscn import golden
from gscn.golden.methods.options import STRUCTURES
from tests.golden.methods.restatement import (
    PADDINGS,
    SlowConv,
    SlowDST,
    SlowLinear,
    SlowReSprop,
    SlowSWAT,
)

ITERATIONS = 5
TOLERANCE = 1e-12


@dataclass(frozen=True)
class Case:
    layer: nn.Module
    slow: SlowConv | SlowLinear
    input_shape: tuple[int, ...]
    values: str
    seed: int


@st.composite
def convolutions(draw) -> Case:
    def pair(low: int, high: int) -> tuple[int, int]:
        return draw(st.integers(low, high)), draw(st.integers(low, high))

    groups = draw(st.integers(1, 3))
    channels = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel, stride, dilation, padding = pair(1, 3), pair(1, 3), pair(1, 2), pair(0, 2)
    # Reflection and wrapping need an image larger than the padding.
    size = tuple(
        max(d * (k - 1) + 1 - 2 * p, p + 1) + draw(st.integers(0, 4))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    )
    mode = draw(st.sampled_from(list(PADDINGS)))
    layer = nn.Conv2d(
        *channels, kernel, stride, padding, dilation, groups, padding_mode=mode, dtype=torch.float64
    )
    slow = SlowConv(stride=stride, padding=padding, dilation=dilation, groups=groups, mode=mode)
    return _case(draw, layer, slow, (draw(st.integers(1, 3)), channels[0], *size))


@st.composite
def linears(draw) -> Case:
    leading = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    layer = nn.Linear(draw(st.integers(1, 6)), draw(st.integers(1, 6)), dtype=torch.float64)
    return _case(draw, layer, SlowLinear(), (*leading, layer.in_features))


def _case(draw, layer: nn.Module, slow: SlowConv | SlowLinear, shape: tuple[int, ...]) -> Case:
    values = draw(st.sampled_from(["normal", "ties", "zero"]))
    return Case(layer, slow, shape, values, draw(st.integers(0, 2**20)))


LAYERS = convolutions() | linears()
SPARSITIES = st.sampled_from([0.0, 0.3, 0.7, 0.9, 0.99])
few = settings(max_examples=60)


def random(case: Case, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    if case.values == "zero":
        return np.zeros(shape)
    if case.values == "ties":
        return generator.integers(-2, 3, shape) / 4
    return generator.normal(size=shape)


def close(found: torch.Tensor, expected: np.ndarray) -> None:
    expected = torch.from_numpy(np.ascontiguousarray(expected))
    torch.testing.assert_close(found.detach(), expected, rtol=TOLERANCE, atol=TOLERANCE)


def run(case: Case, swat: SlowSWAT | None, reuse: SlowReSprop | None, method, seed: int) -> None:
    """Train the layer and its restatement side by side."""
    generator = np.random.default_rng(case.seed)
    draws = torch.Generator().manual_seed(seed + ((1 << 40) * isinstance(case.slow, SlowLinear)))
    layer = golden.sparsify(case.layer, method, seed=seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.from_numpy(random(case, generator, tuple(parameter.shape))))
    for iteration in range(ITERATIONS):
        dense = golden.begin_iteration(
            layer, epoch=0, iteration=iteration, iterations_per_epoch=ITERATIONS
        )
        assert dense == (iteration in (0, ITERATIONS - 1))
        x = random(case, generator, case.input_shape)
        w, b = layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()
        saved, used = (x, w) if swat is None else swat.choose(x, w)
        inputs = torch.from_numpy(x).requires_grad_()
        outputs = layer(inputs)
        close(outputs, case.slow.forward(x, used, b))
        dy = random(case, generator, tuple(outputs.shape))
        layer.zero_grad()
        outputs.backward(torch.from_numpy(dy))
        sparse, reused = dy, np.zeros_like(dy[0])
        if reuse is not None:
            drawn = int(torch.randint(len(dy), (), generator=draws))
            sparse, reused = reuse.split(dy, drawn, dense=dense)
            assert layer.gscn.gradient_sparsifier.threshold.item() == reuse.threshold
            counted = layer.gscn.nonzeros["output_grads"]
            assert (int(counted[0]), counted[1]) == (np.count_nonzero(sparse), dy.size)
        restored = sparse + reused
        close(inputs.grad, case.slow.input_grad(x, used, restored))
        close(layer.weight.grad, case.slow.weight_grad(saved, w, restored))
        channel = dy.ndim - 1 if isinstance(case.slow, SlowLinear) else 1
        axes = tuple(axis for axis in range(dy.ndim) if axis != channel)
        close(layer.bias.grad, dy.sum(axes))
        report = golden.sparsity_report(layer)[type(layer).__name__.removeprefix("Training")]
        assert report.weights == np.count_nonzero(used) / w.size
        assert report.activations == np.count_nonzero(saved) / x.size
        with torch.no_grad():
            layer.weight -= layer.weight.grad.sign() / 8


@few
@given(
    case=LAYERS,
    sparsity=SPARSITIES,
    period=st.integers(1, 3),
    structure=st.sampled_from(STRUCTURES),
)
def test_swat_equals_its_restatement(case, sparsity, period, structure):
    method = golden.SWAT(
        sparsity=sparsity, refresh_period=period, structure=structure, first_layer="sparse"
    )
    period = 1 if isinstance(case.slow, SlowLinear) else period
    run(case, SlowSWAT(sparsity, period, structure), None, method, 0)


@few
@given(case=LAYERS, sparsity=SPARSITIES, seed=st.integers(0, 1000))
def test_resprop_equals_its_restatement(case, sparsity, seed):
    method = golden.ReSprop(sparsity=sparsity, first_layer="sparse")
    run(case, None, SlowReSprop(sparsity), method, seed)


@few
@given(
    case=LAYERS,
    sparsity=SPARSITIES,
    reuse_sparsity=SPARSITIES,
    period=st.integers(1, 3),
    structure=st.sampled_from(STRUCTURES),
    seed=st.integers(0, 1000),
)
def test_swat_with_resprop_equals_their_restatement(
    case, sparsity, reuse_sparsity, period, structure, seed
):
    method = golden.SWATReSprop(
        sparsity=sparsity,
        reuse_sparsity=reuse_sparsity,
        refresh_period=period,
        structure=structure,
        first_layer="sparse",
    )
    period = 1 if isinstance(case.slow, SlowLinear) else period
    run(case, SlowSWAT(sparsity, period, structure), SlowReSprop(reuse_sparsity), method, seed)


@few
@given(case=LAYERS, level=st.sampled_from([0.0, 0.25, 0.5, 1.0, 5.0]))
def test_dst_equals_its_restatement(case, level):
    generator = np.random.default_rng(case.seed)
    layer, slow = golden.sparsify(case.layer, "dst"), SlowDST()
    thresholds = layer.gscn.weight_mask.threshold
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(random(case, generator, tuple(layer.weight.shape))))
        thresholds.copy_(torch.from_numpy(level * generator.random(len(layer.weight))))
    for _ in range(ITERATIONS):
        x = random(case, generator, case.input_shape)
        w, b = layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()
        mask, t = slow.mask(w, thresholds.detach().numpy().copy())
        inputs = torch.from_numpy(x).requires_grad_()
        outputs = layer(inputs)
        close(thresholds, t)
        close(outputs, case.slow.forward(x, w * mask, b))
        dy = random(case, generator, tuple(outputs.shape))
        layer.zero_grad()
        outputs.backward(torch.from_numpy(dy), retain_graph=True)
        close(inputs.grad, case.slow.input_grad(x, w * mask, dy))
        dw, dt = slow.gradients(w, t, case.slow.weight_grad(x, w, dy))
        close(layer.weight.grad, dw)
        close(thresholds.grad, dt)
        thresholds.grad = None
        golden.dst_penalty(layer).backward()
        close(thresholds.grad, -np.exp(-t))
        assert golden.dst_penalty(layer).item() == pytest.approx(np.exp(-t).sum(), rel=TOLERANCE)
        with torch.no_grad():
            layer.weight -= layer.weight.grad.sign() / 8
            thresholds += level / 4
