"""Masks that are kept are where the recorded operands are not zero."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import masks
from gscn.conv import ConvShape, Pass

SHAPES = {
    "late": ConvShape(n=2, c=3, h=5, w=4, k=5, r=3, s=2, stride=(2, 1), padding=(1, 0)),
    "again": ConvShape(n=2, c=5, h=3, w=3, k=4, r=1, s=1),
}


class MadeTrace(SimpleNamespace):
    """A step of two layers, of which one lacks its input gradient."""

    def __init__(self):
        rng = np.random.default_rng(0)
        entries, self.operands = {}, {}
        for name, shape in SHAPES.items():
            chosen = [which for which in Pass if (name, which) != ("late", Pass.INPUT_GRAD)]
            entries[name] = SimpleNamespace(shape=shape, densities=dict.fromkeys(chosen))
            for which in chosen:
                for part, size in zip(masks.PARTS, shape.operand_shapes(which), strict=True):
                    values = rng.standard_normal(size) * (rng.random(size) < 0.3)
                    self.operands[name, which, part] = values.astype(np.float32)
        super().__init__(entries=entries, step=7)

    def chunks(self, name, which, part):
        whole = self.operands[name, which, part]
        yield 0, whole[:1]
        yield 1, whole[1:]


@pytest.fixture
def kept(tmp_path):
    trace = MadeTrace()
    masks.keep(tmp_path, trace)
    return tmp_path, trace


def test_every_operand_has_its_nonzeros(kept):
    folder, trace = kept
    assert masks.shapes_of(folder) == SHAPES
    for (name, which, part), values in trace.operands.items():
        found = masks.read(folder, 7, name, which)
        assert (found.layer, found.shape, found.which) == (name, SHAPES[name], which)
        assert found.first.dtype == found.second.dtype == np.int16
        np.testing.assert_array_equal(getattr(found, part), values != 0)


def test_passes_are_in_the_order_of_the_network(kept):
    folder, _ = kept
    expected = [("late", Pass.FORWARD), ("late", Pass.WEIGHT_GRAD), *(("again", p) for p in Pass)]
    assert masks.passes_of(folder, 7) == expected
    found = [(one.layer, one.which) for one in masks.read_all(folder, 7)]
    assert found == expected


def test_a_bit_is_kept_of_each_number(kept):
    folder, trace = kept
    with np.load(masks.path_of(folder, 7)) as stored:
        bits = sum(8 * stored[key].size for key in stored.files)
    numbers = sum(values.size for values in trace.operands.values())
    assert numbers <= bits < numbers + 8 * len(trace.operands)
