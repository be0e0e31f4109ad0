"""Problems for Timeloop: what their loops say, read by a YAML library and run in plain Python.

Timeloop itself is not on the package index.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import yaml

from gscn.conv import ConvShape, Pass
from gscn.golden.operands.timeloop import problem
from tests.golden.operands.recorded import SHAPES, recorded

OPERANDS = {
    Pass.FORWARD: ("Weights", "Inputs", "Outputs"),
    Pass.INPUT_GRAD: ("Weights", "Outputs", "Inputs"),
    Pass.WEIGHT_GRAD: ("Outputs", "Inputs", "Weights"),
}


def tensor_of(space, array, shape):
    """Return an array of a pass with the axes that a data space has: groups apart, padded."""
    groups = shape.groups
    if space == "Weights":
        return array.reshape(groups, -1, *array.shape[1:])
    if space == "Inputs":
        array = np.pad(array, ((0, 0), (0, 0), *((one, one) for one in shape.padding)))
    return array.reshape(array.shape[0], groups, -1, *array.shape[2:])


def run(content, tensors):
    """Run the loops of a problem; return the result and the points of each data space."""
    shape, instance = content["shape"], content["instance"]
    constants = {one["name"]: one["default"] for one in shape["coefficients"]} | instance
    result = {}
    touched = {space["name"]: set() for space in shape["data_spaces"]}
    (written,) = (one["name"] for one in shape["data_spaces"] if one["read_write"])
    for point in itertools.product(*(range(instance[name]) for name in shape["dimensions"])):
        at = dict(zip(shape["dimensions"], point, strict=True))
        places = {}
        for space in shape["data_spaces"]:
            places[space["name"]] = tuple(
                sum(at[term[0]] * (constants[term[1]] if term[1:] else 1) for term in axis)
                for axis in space["projection"]
            )
            touched[space["name"]].add(places[space["name"]])
        factors = [float(tensors[name][place]) for name, place in places.items() if name != written]
        place = places[written]
        result[place] = result.get(place, 0.0) + factors[0] * factors[1]
    return written, result, touched


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("kind", SHAPES)
def test_the_loops_of_a_problem_compute_the_pass(kind, which):
    shape, one = SHAPES[kind], recorded(SHAPES[kind], which)
    content = yaml.safe_load(problem("layer", shape, one))["problem"]
    names = OPERANDS[which]
    tensors = {
        names[0]: tensor_of(names[0], one.first, shape),
        names[1]: tensor_of(names[1], one.second, shape),
    }
    written, result, touched = run(content, tensors)
    assert written == names[2] == content["shape"]["data_spaces"][-1]["name"]
    # Padding and pixels that are never reached are 0, or no part of the result at all.
    expected = tensor_of(written, one.result, shape)
    padding = shape.padding if written == "Inputs" else (0, 0)
    dense = np.zeros(expected.shape)
    for place, value in result.items():
        rows, columns = place[-2:]
        inside = all(
            pad <= index < size - pad
            for pad, index, size in zip(padding, (rows, columns), expected.shape[-2:], strict=True)
        )
        if inside:
            dense[place] = value
    assert np.array_equal(dense, expected)
    products = np.prod([content["instance"][name] for name in content["shape"]["dimensions"]])
    assert products == shape.dense_macs

    for name, tensor in tensors.items():
        # The box around the points that are read, which is what a data space is there.
        axes = zip(*touched[name], strict=True)
        box = tensor[tuple(slice(0, max(axis) + 1) for axis in axes)]
        said = content["instance"]["densities"][name]
        assert said["distribution"] == "hypergeometric"
        assert said["density"] == pytest.approx(np.count_nonzero(box) / box.size, abs=1e-15)
        # As its density model counts them.
        assert math.ceil(said["density"] * box.size) == np.count_nonzero(box)
    assert set(content["instance"]["densities"]) == set(tensors)


def test_a_dense_operand_is_not_named():
    shape = SHAPES["plain"]
    one = recorded(shape, Pass.FORWARD)
    one.first[...] = 1
    content = yaml.safe_load(problem("layer", shape, one))["problem"]
    assert list(content["instance"]["densities"]) == ["Inputs"]
    assert content["version"] == 0.4
    assert content["shape"]["name"] == "layer"


def test_a_share_is_of_as_many_nonzeros_as_there_are():
    shape = ConvShape(n=1, c=5, h=1, w=1, k=5, r=1, s=1)
    one = recorded(shape, Pass.FORWARD)
    one.first[...] = (np.arange(25) < 7).reshape(5, 5, 1, 1)
    assert 7 / 25 * 25 > 7
    content = yaml.safe_load(problem("layer", shape, one))["problem"]
    assert math.ceil(content["instance"]["densities"]["Weights"]["density"] * 25) == 7
