"""The host of a training step on memory: scalars of channels and the loss, and nothing else.

Every byte that it reads or writes is counted by what it is.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from gscn.encode import (
    CHANNEL_ROW,
    CHANNEL_SUMS,
    COEFFICIENT_BITS,
    ENCODE_DESCRIPTOR,
    ENCODE_STATE,
)
from gscn.lowering.step.lists import Listing
from gscn.lowering.step.memory import STATE_BYTES, DensePlace
from gscn.lowering.step.walks import DenseTensor
from gscn.passes import VECTOR
from gscn.records import PLUS_BIT
from gscn.step import Encode, Normalised, Step, Stop, Walk

OVERFLOW = 4
UPDATES = "update."
"""How the names of rows begin that have the rate."""
EPSILON = 1e-5
LEAST_SHARE = 100
"""Thresholds of weights go back to 0 where at most one weight in so many is left."""
FRACTION_BITS = 45
"""Of a sum of 48 bits."""
BIAS = 127


class Host:
    """The host of lists on the same memory.

    Parameters
    ----------
    norms
        The network's normalisations.
    classes
        Logits.
    rate, momentum, decay
        Of SGD; the decay of what the host updates. Lists have the rate at first.
    penalty
        DST's factor of the sum of exp(-t).

    Attributes
    ----------
    batch : tuple
        Images (N, C, H, W) as codes of bf16, labels, and the sample whose gradients are reused.
    rate : float
        May be changed between steps.
    losses : list of float
        Of all steps.
    accuracies : list of float
        Of all steps: share of samples whose largest logit is that of their label.
    touched : Counter
        Bytes read and written, by what they are.
    """

    def __init__(
        self, norms: dict[str, Normalised], classes: int, *, rate: float, momentum: float,
        penalty: float = 0.0, decay: float = 0.0,
    ) -> None:  # fmt: skip
        self.norms, self.rate, self.momentum, self.penalty = norms, rate, momentum, penalty
        self.decay, self.rate_there = decay, rate
        self.gammas = {name: np.ones(one.channels) for name, one in norms.items()}
        self.betas = {name: np.zeros(one.channels) for name, one in norms.items()}
        self.bias = np.zeros(classes)
        self.thresholds: dict[str, np.ndarray] = {}
        self.velocities: dict[str, Any] = {}
        self.found: dict[str, tuple[np.ndarray, ...]] = {}
        self.batch: tuple[np.ndarray, np.ndarray, int]
        self.losses: list[float] = []
        self.accuracies: list[float] = []
        self.touched: Counter[str] = Counter()
        self.step: Step
        self.listing: Listing
        self.memory: np.ndarray

    def __getstate__(self) -> dict[str, Any]:
        """Return what goes with the host to another process: all but memory, which it is given."""
        return {name: value for name, value in vars(self).items() if name != "memory"}

    def begin(self, number: int) -> None:
        """Prepare for a list, of which `follow` has told."""

    def follow(self, step: Step, listing: Listing) -> None:
        """Take the stops of another list."""
        self.step, self.listing = step, listing

    def __call__(self, number: int, memory: np.ndarray) -> int | None:
        """Do what a stop asks for; return the record to go back to."""
        self.memory = memory
        stop = self.listing.stops[number]
        sums = {"forward": "sums", "backward": "dsums", "thresholds": "dt"}.get(stop.what)
        if sums and self._state(f"s.{sums}.{stop.layer}")["flags"] & OVERFLOW:
            return self.listing.records[stop.again]
        return {
            "begin": self._begin, "forward": self._forward, "backward": self._backward,
            "bias": self._bias, "moved": self._move_bias, "loss": self._loss,
            "kept": self._kept, "thresholds": self._threshold_grads,
        }[stop.what](stop)  # fmt: skip

    # -- memory

    def _read(self, kind: str, addr: int, size: int) -> np.ndarray:
        self.touched[kind] += size
        return self.memory[addr : addr + size].copy()

    def _write(self, kind: str, addr: int, content: np.ndarray) -> None:
        content = np.ascontiguousarray(content).reshape(-1).view(np.uint8)
        self.touched[kind] += content.size
        self.memory[addr : addr + content.size] = content

    def _state(self, name: str) -> np.void:
        content = self._read("states", self.listing.memory.states[name], STATE_BYTES)
        return ENCODE_STATE.unpack(content)[0]

    def _sums(self, name: str, tops: str, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """Return sums, and sums of products, of the channels."""
        first, _ = self.listing.memory.parts[name]
        content = self._read("sums", first, channels * CHANNEL_SUMS.width // 8)
        records, state = CHANNEL_SUMS.unpack(content), self._state(tops)
        found = []
        for which in ("sum", "dot"):
            raw = records[which].astype(np.uint64) << np.uint64(64 - PLUS_BIT)
            exact = raw.astype(np.int64) >> (64 - PLUS_BIT)
            lsb = int(state[f"{which}_top"]) - FRACTION_BITS - 2 * BIAS
            found.append(np.ldexp(exact.astype(np.float64), lsb))
        return found[0], found[1]

    def _rows(self, name: str, **fields: np.ndarray) -> None:
        addr, channels = self.listing.memory.rows[name]
        rows = np.zeros(channels, dtype=CHANNEL_ROW.dtype)
        for field, values in fields.items():
            rows[field] = np.broadcast_to(values, channels).astype(np.float32).view(np.uint32)
        self._write("coefficients", addr, rows)

    # -- stops

    def _begin(self, _: Stop) -> None:
        images, _, sample = self.batch
        place = self.listing.memory.dense["images"]
        self._write("images", place.addr, dense_content(place, images))
        addr = self.listing.memory.states["s.images"]
        at = ENCODE_STATE.dtype.fields["largest"][1]
        largest = np.array([(images >> 7 & 0xFF).max()], dtype="<u2")
        self._write("states", addr + at, largest)
        for op in self.step.operations:
            if isinstance(op, Encode) and op.walk is Walk.ONE:
                self._choose(op, sample)
        if self.rate != self.rate_there:
            self._change_rate()
            self.rate_there = self.rate

    def _change_rate(self) -> None:
        """Write the rate into the rows of updates."""
        for name, (addr, channels) in self.listing.memory.rows.items():
            if name.startswith(UPDATES):
                at = CHANNEL_ROW.dtype.fields["second"][1]
                second = np.array([-self.rate], dtype="<f4")
                for channel in range(channels):
                    self._write("rates", addr + channel * CHANNEL_ROW.dtype.itemsize + at, second)

    def _choose(self, op: Encode, sample: int) -> None:
        """Name the sample of a pass of one."""
        for number, use in enumerate(op.tensors):
            if use is not None:
                step = self.listing.memory.dense[use.name].dense.steps[3]
                at = ENCODE_DESCRIPTOR.dtype.fields[f"t{number}_first"][1]
                offset = np.array([sample * step], dtype="<i4")
                self._write("samples", self.listing.records[op.name] + at, offset)

    def _forward(self, stop: Stop) -> None:
        layer = stop.layer
        norm = self.norms[layer]
        total, squares = self._sums(f"sums.{layer}", f"s.sums.{layer}", norm.channels)
        mean = total / norm.values
        spread = squares / norm.values - mean * mean
        slope = 1 / np.sqrt(np.maximum(spread, 0) + EPSILON)
        scale = shortened(self.gammas[layer] * slope)
        shift = self.betas[layer] - mean * scale
        self.found[layer] = (mean, slope, scale, shift)
        if norm.folded:
            return
        other = 1.0
        if norm.adds:
            other, added = self.found[norm.adds][2:]
            shift = shift + added
        self._rows(f"a.{layer}", c0=scale, c1=other, bias=shift)

    def _backward(self, stop: Stop) -> None:
        layer = stop.layer
        norm = self.norms[layer]
        mean, slope, scale, _ = self.found[layer]
        total, dot = self._sums(f"dsums.{layer}", f"s.dsums.{layer}", norm.channels)
        by_gamma = (dot - mean * total) * slope
        second = shortened(-scale * slope * by_gamma / norm.values)
        bias = -(scale * total + second * mean * norm.values) / norm.values
        self._rows(f"b.{layer}", c0=scale, c1=second, c2=-1.0, bias=bias)
        self.gammas[layer] = self._moved(f"gamma.{layer}", self.gammas[layer], by_gamma)
        self.betas[layer] = self._moved(f"beta.{layer}", self.betas[layer], total)

    def _bias(self, stop: Stop) -> None:
        layer = stop.layer
        _, channels = self.listing.memory.rows[f"a.{layer}"]
        bias = self.betas.setdefault(layer, np.zeros(channels))
        self._rows(f"a.{layer}", c0=np.ones(channels), bias=bias)

    def _move_bias(self, stop: Stop) -> None:
        layer = stop.layer
        bias = self.betas[layer]
        total, _ = self._sums(f"dsums.{layer}", f"s.dsums.{layer}", bias.size)
        self.betas[layer] = self._moved(f"beta.{layer}", bias, total)

    def _loss(self, stop: Stop) -> None:
        _, labels, _ = self.batch
        place = self.listing.memory.dense[f"y.{stop.layer}"]
        content = self._read("logits", place.addr, place.end - place.addr)
        logits = dense_values(place, content.view("<f4"))[:, :, 0, 0].astype(np.float64)
        logits = logits + self.bias
        shifted = logits - logits.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        shares = exponentials / exponentials.sum(axis=1, keepdims=True)
        right = np.arange(len(labels)), labels
        self.losses.append(float(-np.log(shares[right]).mean()))
        self.accuracies.append(float((logits.argmax(axis=1) == labels).mean()))
        shares[right] -= 1
        grads = rounded(shares / len(labels))
        place = self.listing.memory.dense["dlogits"]
        self._write("logits", place.addr, dense_content(place, grads[:, :, None, None]))
        exact = (grads.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        self.bias = self._moved("bias", self.bias, exact.sum(axis=0))

    def _kept(self, stop: Stop) -> int | None:
        shape = self.step.tensors[f"w.{stop.layer}"].shape
        blocks = self.step.blocks.get(f"blocks.{stop.layer}")
        size = blocks.size if blocks else np.prod(shape)
        now = self.thresholds.setdefault(stop.layer, np.zeros(shape[0]))
        left = int(self._state(f"st.{stop.layer}")["nonzeros"])
        if left * LEAST_SHARE > size or not now.any():
            return None
        self.thresholds[stop.layer] = np.zeros(shape[0])
        self._rows(f"t.{stop.layer}", c0=1.0)
        return self.listing.records[stop.again]

    def _threshold_grads(self, stop: Stop) -> None:
        layer = stop.layer
        now = self.thresholds[layer]
        total, _ = self._sums(f"dt.{layer}", f"s.dt.{layer}", now.size)
        grad = -total - self.penalty * np.exp(-now)
        self.thresholds[layer] = self._moved(f"t.{layer}", now, grad)
        self._rows(f"t.{layer}", c0=1.0, bias=-self.thresholds[layer])

    def _moved(self, name: str, value: np.ndarray, grad: np.ndarray) -> np.ndarray:
        grad = grad + self.decay * value
        self.velocities[name] = self.momentum * self.velocities.get(name, 0.0) + grad
        return value - self.rate * self.velocities[name]


def shortened(values: np.ndarray) -> np.ndarray:
    """Return numbers as the coefficients that they become: float32, its upper bits."""
    codes = values.astype(np.float32).view(np.uint32)
    return (codes & ~np.uint32((1 << 24 - COEFFICIENT_BITS) - 1)).view(np.float32).astype(float)


def rounded(values: np.ndarray) -> np.ndarray:
    """Return codes of bf16, to nearest, ties to even; rounded once."""
    mantissa, exponent = np.frexp(values)
    exponent = np.maximum(exponent, -125)
    units = np.rint(np.ldexp(values, 8 - exponent))
    exact = np.ldexp(units, exponent - 8).astype(np.float32)
    assert mantissa.shape == values.shape
    return (exact.view(np.uint32) >> 16).astype(np.uint16)


def dense_content(place: DensePlace, tensor: np.ndarray) -> np.ndarray:
    """Return a tensor in the shape of torch as it lies in memory."""
    return _grouped(place.dense, tensor)


def dense_values(place: DensePlace, content: np.ndarray) -> np.ndarray:
    """Return values of a map, as they lie in memory, in the shape of torch."""
    dense = place.dense
    groups, pitch = -(-dense.channels // VECTOR), dense.steps[4] // dense.value_bytes
    cut = content[: groups * pitch].reshape(groups, pitch)
    cut = cut[:, : dense.outer * dense.rows * dense.cols * VECTOR]
    cut = cut.reshape(groups, dense.outer, dense.rows, dense.cols, VECTOR)
    whole = cut.transpose(1, 0, 4, 2, 3).reshape(dense.outer, -1, dense.rows, dense.cols)
    if place.turned:
        whole = whole[:, :, ::-1, ::-1]
    return whole[:, : dense.channels]


def weights_content(place: DensePlace, weights: np.ndarray) -> np.ndarray:
    """Return weights (K, C, R, S) as they lie in memory."""
    return dense_content(place, weights.transpose(1, 0, 2, 3) if place.by_output else weights)


def weights_values(place: DensePlace, content: np.ndarray) -> np.ndarray:
    """Return weights, as they lie in memory, as (K, C, R, S), or with more K or C of padding."""
    values = dense_values(place, content)
    return values.transpose(1, 0, 2, 3) if place.by_output else values


def _grouped(dense: DenseTensor, tensor: np.ndarray) -> np.ndarray:
    groups = -(-dense.channels // VECTOR)
    outer, channels, rows, cols = tensor.shape
    filled = np.zeros((dense.outer, groups * VECTOR, rows, cols), dtype=tensor.dtype)
    filled[:outer, :channels] = tensor
    cut = filled.reshape(dense.outer, groups, VECTOR, rows, cols)
    return np.ascontiguousarray(cut.transpose(1, 0, 3, 4, 2))
