"""The sparse-training methods restated slowly, from their papers alone, in numpy.

Shares no code with the library: convolutions are loops over kernel positions, paddings are numpy's,
selections are sorts, shares are decimal numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy import ndarray

PADDINGS = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@dataclass
class SlowConv:
    """A grouped convolution of two dimensions; arrays are (N, C, H, W) and (K, C/groups, R, S)."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    mode: str

    def _sources(self, height: int, width: int) -> ndarray:
        """Return, for each padded pixel, the pixel that it copies, or -1 for zero."""
        amounts = tuple((p, p) for p in self.padding)
        pixels = np.arange(height * width).reshape(height, width)
        if self.mode == "zeros":
            return np.pad(pixels, amounts, constant_values=-1)
        return np.pad(pixels, amounts, mode=PADDINGS[self.mode])

    def _positions(self, x: ndarray, w: ndarray):
        """Yield (r, s, index) with index[p, q] the pixel under that kernel position, or -1."""
        sources = self._sources(*x.shape[2:])
        extents = [d * (size - 1) + 1 for d, size in zip(self.dilation, w.shape[2:], strict=True)]
        counts = [
            (size - extent) // st + 1
            for size, extent, st in zip(sources.shape, extents, self.stride, strict=True)
        ]
        for r in range(w.shape[2]):
            for s in range(w.shape[3]):
                rows = r * self.dilation[0] + self.stride[0] * np.arange(counts[0])
                columns = s * self.dilation[1] + self.stride[1] * np.arange(counts[1])
                yield r, s, sources[np.ix_(rows, columns)]

    def _pairs(self, w: ndarray):
        """Yield the pairs (k, c, c within its group) that a weight connects."""
        in_group, out_group = w.shape[1], w.shape[0] // self.groups
        for k in range(w.shape[0]):
            for c in range(in_group):
                yield k, (k // out_group) * in_group + c, c

    def forward(self, x: ndarray, w: ndarray, b: ndarray) -> ndarray:
        y = 0
        for r, s, index in self._positions(x, w):
            seen = np.where(index >= 0, x.reshape(*x.shape[:2], -1)[:, :, index], 0.0)
            part = np.zeros((len(x), len(w), *index.shape))
            for k, c, within in self._pairs(w):
                part[:, k] += w[k, within, r, s] * seen[:, c]
            y = y + part
        return y + b.reshape(1, -1, 1, 1)

    def input_grad(self, x: ndarray, w: ndarray, dy: ndarray) -> ndarray:
        dx = np.zeros((len(dy), x.shape[1], x.shape[2] * x.shape[3]))
        for r, s, index in self._positions(x, w):
            inside = index >= 0
            for k, c, within in self._pairs(w):
                for n in range(len(dy)):
                    np.add.at(dx[n, c], index[inside], w[k, within, r, s] * dy[n, k][inside])
        return dx.reshape(len(dy), *x.shape[1:])

    def weight_grad(self, x: ndarray, w: ndarray, dy: ndarray) -> ndarray:
        dw = np.zeros(w.shape)
        for r, s, index in self._positions(x, w):
            seen = np.where(index >= 0, x.reshape(*x.shape[:2], -1)[:, :, index], 0.0)
            for k, c, within in self._pairs(w):
                dw[k, within, r, s] = (dy[:, k] * seen[:, c]).sum()
        return dw


class SlowLinear:
    """A linear layer on (N, ..., C), with weights (K, C)."""

    def forward(self, x: ndarray, w: ndarray, b: ndarray) -> ndarray:
        return np.einsum("...c,kc->...k", x, w) + b

    def input_grad(self, x: ndarray, w: ndarray, dy: ndarray) -> ndarray:
        return np.einsum("...k,kc->...c", dy, w)

    def weight_grad(self, x: ndarray, w: ndarray, dy: ndarray) -> ndarray:
        rows, grads = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        return np.einsum("nk,nc->kc", grads, rows)


def kept(sparsity: float, count: int) -> int:
    return math.ceil((1 - Decimal(str(sparsity))) * count)


def nth_largest(values: ndarray, count: int) -> float:
    return sorted(np.abs(values).ravel().tolist(), reverse=True)[count - 1]


def drop_small(values: ndarray, threshold: float) -> ndarray:
    return np.where(np.abs(values) >= threshold, values, 0.0)


class SlowSWAT:
    """Chooses weights and activations; thresholds are exact every `period` iterations."""

    def __init__(self, sparsity: float, period: int, structure: str) -> None:
        self.sparsity, self.period, self.structure = sparsity, period, structure
        self.iteration = 0

    def choose(self, x: ndarray, w: ndarray) -> tuple[ndarray, ndarray]:
        if self.sparsity == 0:
            return x, w
        if self.iteration % self.period == 0:
            self.x_threshold = nth_largest(x, kept(self.sparsity, x.size))
            self.w_threshold = nth_largest(w, kept(self.sparsity, w.size))
        self.iteration += 1
        return drop_small(x, self.x_threshold), self.choose_weights(w, self.w_threshold)

    def choose_weights(self, w: ndarray, threshold: float) -> ndarray:
        if self.structure == "unstructured":
            return drop_small(w, threshold)
        axes = tuple(range({"kernel": 2, "filter": 1}[self.structure], w.ndim))
        scores = np.abs(w).sum(axes)
        chosen = scores >= nth_largest(scores, kept(self.sparsity, scores.size))
        return np.where(np.expand_dims(chosen, axes), w, 0.0)


class SlowReSprop:
    """Splits output gradients; `drawn` says which sample is reused in the next iteration."""

    def __init__(self, sparsity: float) -> None:
        self.target = Fraction(str(1 - Decimal(str(sparsity)) + Decimal("0.05")))
        self.threshold, self.reused = 1e-7, None

    def split(self, dy: ndarray, drawn: int, *, dense: bool) -> tuple[ndarray, ndarray]:
        sparse, reused = dy, np.zeros_like(dy[0])
        if self.reused is not None and not dense and self.target < 1:
            reused = self.reused
            sparse = np.array(
                [np.where(np.abs(g - reused) > self.threshold, g - reused, 0.0) for g in dy]
            )
            share = Fraction(int((sparse != 0).sum()), sparse.size)
            if share > self.target:
                self.threshold *= 2
            elif share < self.target:
                self.threshold /= 2
        self.reused = dy[drawn]
        return sparse, reused


class SlowDST:
    """Masks weights (K, ...) by thresholds (K,)."""

    def mask(self, w: ndarray, t: ndarray) -> tuple[ndarray, ndarray]:
        """Return the mask, and the thresholds after they went back to 0 if hardly any is left."""
        shaped = t.reshape(-1, *[1] * (w.ndim - 1))
        mask = np.abs(w) - shaped > 0
        if mask.sum() <= 0.01 * mask.size:
            t = np.zeros_like(t)
            mask = np.abs(w) > 0
        return mask, t

    def gradients(self, w: ndarray, t: ndarray, d_used: ndarray) -> tuple[ndarray, ndarray]:
        """Return the gradients of weights and thresholds from that of the masked weights."""
        dw, dt = np.zeros_like(w), np.zeros_like(t)
        for index in np.ndindex(w.shape):
            excess = abs(w[index]) - t[index[0]]
            size = abs(excess)
            slope = 2 - 4 * size if size <= 0.4 else 0.4 if size <= 1 else 0.0
            # used = w * step(|w| - t)
            dw[index] = d_used[index] * (excess > 0)
            dw[index] += d_used[index] * w[index] * slope * np.sign(w[index])
            dt[index[0]] -= d_used[index] * w[index] * slope
        return dw, dt
