"""Two layers of int8 inference as one list: convolutions, and encode passes between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from gscn.conv import ConvShape, Pass
from gscn.encode import CHANNEL_ROW, ENCODE_DESCRIPTOR, ENCODE_MODE
from gscn.formats import INT8
from gscn.golden.oracle.encode import combine_integers, rectified
from gscn.lowering.descriptor import Numbers, descriptors
from gscn.lowering.layouts import spread, weights_of
from gscn.lowering.step.plans import operand_walk, whole_plan
from gscn.lowering.step.walks import DenseTensor
from gscn.passes import DESCRIPTOR_BYTES, VECTOR
from gscn.step import Operand, Role
from gscn.strips import encode, weight_bounds

SHAPES = (
    ConvShape(n=1, c=3, h=7, w=6, k=16, r=3, s=3, padding=(1, 1)),
    ConvShape(n=1, c=16, h=7, w=6, k=10, r=3, s=3, stride=(2, 2), padding=(1, 1)),
)
INT8_FORMAT, INT32_FORMAT = 3, 5
STATE_BYTES = 64
SIZE = (7, 6)


class Scale(NamedTuple):
    """How sums of a layer become int8: times `factors`, plus `bias`, divided by 2**`shift`."""

    factors: np.ndarray
    bias: np.ndarray
    shift: int


class Inference(NamedTuple):
    """A list in memory, where its result is, and what it must be."""

    memory: np.ndarray
    begin: int
    end: int
    result: slice
    wanted: np.ndarray
    """int8 (rows, columns, lanes)."""

    def read(self, memory):
        """Return the result in a memory."""
        return memory[self.result].view(np.int8).reshape(self.wanted.shape)


def scaled(sums, scale, *, relu):
    """Return int8 results of sums (..., channels), by whole numbers of any length."""
    found = combine_integers([sums, np.ones_like(sums)], [scale.factors, scale.bias],
                             scale.shift, INT8).codes  # fmt: skip
    return rectified(found, INT8) if relu else found


def convolved(shape, values, weights):
    """Return the sums of a convolution, (samples, channels, rows, columns)."""
    found = torch.nn.functional.conv2d(
        torch.from_numpy(values).double(), torch.from_numpy(weights).double(),
        stride=shape.stride, padding=shape.padding,
    )  # fmt: skip
    return found.numpy().astype(np.int64)


class _Memory:
    """A memory that grows from the end of the list on."""

    def __init__(self, places):
        self.content = np.zeros(places * DESCRIPTOR_BYTES, dtype=np.uint8)

    def put(self, content):
        """Return where some bytes, or so many zeros, are."""
        data = np.zeros(content, np.uint8) if isinstance(content, int) else content
        start = self.content.size
        data = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        self.content = np.concatenate([self.content, data, np.zeros(-data.size % 64, np.uint8)])
        return start


class _Layer(NamedTuple):
    """A pass of a convolution, whose stream is made by an encode pass."""

    fields: dict[str, int]
    """Of the encode pass: its walk, and where strips go."""
    record: bytes
    results: tuple[int, int]


def _layer(memory, config, shape, weights, dense):
    """Put a pass of a convolution into memory, with room for its stream and results."""
    part = whole_plan(config, shape, Pass.FORWARD, 4)
    held = spread(weights_of(part.geometry, weights.astype(np.int8)), part.stationary)
    taps = part.geometry.y.taps * part.geometry.x.taps
    bounds = weight_bounds(part.geometry.contracted, part.choice.t_real, taps)
    strips = encode(held.reshape(held.shape[0], -1, held.shape[-1]), bounds, INT8)
    walk, strip = operand_walk(part, Operand(shape, Pass.FORWARD, Role.SECOND), dense)
    groups = walk["count5"] * walk["count6"] * walk["count7"]
    positions = int(np.prod([walk[f"count{n}"] for n in range(5)]))
    rows = positions // walk["period"] * -(-walk["period"] // strip)
    most = groups * (rows + positions * (2 + VECTOR // 2)) << walk["vectors"]
    data, table = memory.put(2 * most), memory.put(4 * groups * (rows + 1))
    places = (
        memory.put(strips.data), memory.put(strips.table), strips.halfwords, data, table, most,
    )  # fmt: skip
    end = memory.content.size
    content, ranges = descriptors(config, part, Numbers(1, 0, 0, 0, 4), places, end)
    memory.put(ranges[-1][1] - end)
    fields = walk | {
        "a_positions": strip, "a_data": data, "a_end": data + -(-2 * most // 64) * 64,
        "a_table": table,
    }  # fmt: skip
    return _Layer(fields, content[0], ranges[0])


def _encoded(memory, walk, scale, **fields):
    """Return the fields of an encode pass of one tensor."""
    lanes = VECTOR << walk["vectors"]
    rows = np.zeros(walk["count5"] * lanes, dtype=CHANNEL_ROW.dtype)
    for group in range(walk["count5"]):
        first = group * walk["group_channels"]
        own = slice(first, min(first + walk["group_channels"], walk["channels"]))
        count = own.stop - own.start
        rows["c0"][group * lanes : group * lanes + count] = scale.factors[own] & 0xFFFF
        rows["bias"][group * lanes : group * lanes + count] = scale.bias[own] & 0xFFFFFFFF
    return {
        "a_positions": 1, "b_positions": 1, **walk,
        "mode": ENCODE_MODE, "out_format": INT8_FORMAT, "shift": scale.shift,
        "segment": int(np.prod([walk[f"count{n}"] for n in range(5)])),
        "rows_addr": memory.put(rows), "state_addr": memory.put(STATE_BYTES), **fields,
    }  # fmt: skip


def inference(config, seed):
    """Return two layers on a random image, as a list that has the image dense."""
    generator = np.random.default_rng(seed)
    image = generator.integers(-128, 128, SHAPES[0].x_shape)
    weights = [generator.integers(-128, 128, shape.w_shape) for shape in SHAPES]
    for one in weights:
        one[generator.random(one.shape) < 0.8] = 0
    one = Scale(np.ones(SHAPES[0].c, dtype=np.int64), np.zeros(SHAPES[0].c, dtype=np.int64), 0)
    scales = [
        Scale(generator.integers(200, 3000, shape.k), generator.integers(-(2**20), 2**20, shape.k),
              18)
        for shape in SHAPES
    ]  # fmt: skip
    sums = convolved(SHAPES[0], image, weights[0])
    middle = scaled(sums.transpose(0, 2, 3, 1), scales[0], relu=True).transpose(0, 3, 1, 2)
    ends = convolved(SHAPES[1], middle, weights[1]).transpose(0, 2, 3, 1)
    wanted = np.zeros((*ends.shape[1:3], VECTOR), dtype=np.int8)
    wanted[..., : SHAPES[1].k] = scaled(ends, scales[1], relu=False)[0]

    memory = _Memory(8)
    lanes = VECTOR << whole_plan(config, SHAPES[0], Pass.FORWARD, 4).stationary.vectors
    layers = [
        _layer(memory, config, shape, held, dense)
        for shape, held, dense in zip(
            SHAPES, weights,
            (DenseTensor(1, *SIZE, 3, VECTOR, 1), DenseTensor(1, *SIZE, 16, lanes, 4)), strict=True,
        )
    ]  # fmt: skip
    dense = np.zeros((*SIZE, VECTOR), dtype=np.int8)
    dense[..., : SHAPES[0].c] = image[0].transpose(1, 2, 0)
    start = memory.put(dense)
    first = _encoded(
        memory, layers[0].fields, one, t0_format=INT8_FORMAT, t0_addr=start,
        t0_end=start + dense.nbytes,
    )  # fmt: skip
    between = _encoded(
        memory, layers[1].fields, scales[0], t0_format=INT32_FORMAT, activation=1,
        t0_addr=layers[0].results[0], t0_end=layers[0].results[1],
    )  # fmt: skip
    positions = int(np.prod(wanted.shape[:2]))
    walk = {f"count{n}": 1 for n in range(8)} | {
        "count0": positions, "vectors": 0, "channels": SHAPES[1].k, "y_limit": 1, "x_limit": 1,
        "group_channels": SHAPES[1].k, "period": positions, "t0_step0": 4 * VECTOR,
        "dense_step0": VECTOR,
    }  # fmt: skip
    place = memory.put(wanted.nbytes)
    last = _encoded(
        memory, walk, scales[1], t0_format=INT32_FORMAT, t0_addr=layers[1].results[0],
        t0_end=layers[1].results[1], dense_addr=place, dense_end=place + wanted.nbytes,
    )  # fmt: skip
    records = [
        ENCODE_DESCRIPTOR.pack(**first).tobytes(), layers[0].record,
        ENCODE_DESCRIPTOR.pack(**between).tobytes(), layers[1].record,
        ENCODE_DESCRIPTOR.pack(**last).tobytes(),
    ]  # fmt: skip
    listed = b"".join(records)
    memory.content[: len(listed)] = np.frombuffer(listed, dtype=np.uint8)
    return Inference(memory.content, 0, len(listed), slice(place, place + wanted.nbytes), wanted)
