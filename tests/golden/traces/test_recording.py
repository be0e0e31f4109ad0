"""Recording: what a trace holds equals what training computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gscn import golden
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.golden.methods.watching import sparse_layers
from gscn.golden.omitted import Omitted, covered_share
from gscn.golden.oracle.integers import convolve
from gscn.golden.traces.recording import layer_trace, recording, trace_step
from gscn.golden.traces.trace import load_trace
from tests.golden.traces.steps import trainer


@pytest.mark.parametrize("method", ["dense", "swat", "resprop", "swat+resprop"])
def test_results_and_precomputed_terms_are_the_gradients_of_the_step(method, tmp_path):
    teacher = trainer(method)
    trace = trace_step(teacher, tmp_path / "trace")
    layers = sparse_layers(teacher.network)
    assert trace.layers == tuple(layers)
    for name, made in layers.items():
        layer = trace.load(name)
        for which, one in layer.passes.items():
            operands = (torch.from_numpy(one.first).double(), torch.from_numpy(one.second).double())
            exact = convolve(layer.shape, which, *operands).numpy()
            assert np.abs(one.result - exact).max() <= 1e-5 * np.abs(exact).max()
            linear = isinstance(made, torch.nn.Linear)
            reused = which is not Pass.FORWARD and "resprop" in method and not linear
            assert (one.precomputed is not None) == (reused or (linear and which is Pass.FORWARD))
            density = trace.entry(name).densities[which]
            assert density == (np.mean(one.first != 0), np.mean(one.second != 0))
        one = layer.get(Pass.WEIGHT_GRAD)
        term = 0 if one.precomputed is None else one.precomputed
        # The optimiser adds the decay to the gradient only in its own copy.
        assert np.array_equal((one.result + term).reshape(made.weight.shape), made.weight.grad)


def test_operands_are_those_that_each_pass_used(directory):
    layer = load_trace(directory).load("block2.conv1")
    forward, input_grad, weight_grad = (layer.get(which) for which in Pass)
    assert layer.shape.stride == (2, 2)
    assert np.array_equal(forward.first, input_grad.first)
    assert np.array_equal(input_grad.second, weight_grad.first)
    kept = weight_grad.second != 0
    assert 0 < np.count_nonzero(kept) < np.count_nonzero(forward.second)
    assert np.array_equal(weight_grad.second[kept], forward.second[kept])
    assert np.mean(forward.first != 0) < 0.15
    assert input_grad.precomputed.shape == (1, 16, 8, 8)
    assert weight_grad.precomputed.shape == weight_grad.result.shape == (32, 16, 3, 3)


def test_bias_is_the_forward_precomputed_term():
    conv = torch.nn.Conv2d(2, 3, 3)
    network = golden.sparsify(torch.nn.Sequential(conv), "dense")
    with recording(network) as traced:
        y = network(torch.randn(2, 2, 5, 5, generator=torch.Generator().manual_seed(0)))
    one = layer_trace("0", traced["0"]).get(Pass.FORWARD)
    assert one.precomputed.shape == (1, 3, 1, 1)
    assert np.array_equal(one.result + one.precomputed, y.detach().numpy())


def test_a_layer_of_groups_is_recorded_with_its_shape():
    network = golden.sparsify(torch.nn.Sequential(torch.nn.Conv2d(4, 6, 3, groups=2)), "dense")
    with recording(network) as traced:
        network(torch.randn(2, 4, 5, 5)).sum().backward()
    layer = layer_trace("0", traced["0"])
    assert layer.shape == ConvShape(n=2, c=4, h=5, w=5, k=6, r=3, s=3, groups=2)
    assert {one.which for one in layer.passes.values()} == {Pass.FORWARD, Pass.WEIGHT_GRAD}


def test_traces_cover_the_kinds_of_convolution(directory):
    shapes = [entry.shape for entry in load_trace(directory).entries.values()]
    assert {(s.r, s.s, s.stride) for s in shapes} == {
        (3, 3, (1, 1)),
        (3, 3, (2, 2)),
        (1, 1, (2, 2)),
        (1, 1, (1, 1)),
    }


def test_equal_seeds_give_equal_bytes(directory, tmp_path):
    trace_step(trainer("swat+resprop"), tmp_path / "again")
    trace_step(trainer("swat+resprop", seed=1), tmp_path / "other")
    for path in directory.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert load_trace(tmp_path / "other").entries != load_trace(directory).entries


def test_chosen_layers_only_and_observers_are_removed(tmp_path):
    teacher = trainer("dense", iterations=0)
    trace = trace_step(teacher, tmp_path / "trace", ["head", "stem"])
    assert trace.layers == ("stem", "head")
    assert all(conv.gscn.observer is None for conv in sparse_layers(teacher.network).values())
    with pytest.raises(InputError, match=r"layer must be one of stem, block1.*, not 'tail'"):
        trace_step(teacher, tmp_path / "other", ["tail"])
    assert [path.name for path in tmp_path.iterdir()] == ["trace"]


def test_dense_iteration_of_resprop_is_reported(tmp_path, caplog):
    trace = trace_step(trainer("resprop", iterations=0), tmp_path / "trace")
    assert trace.dense_iteration
    assert "first or last of its epoch" in caplog.text


def test_what_is_not_traced_is_named_with_its_share(tmp_path):
    teacher = trainer("swat+resprop")
    layers = {layer.name: layer for layer in teacher.survey().layers}
    total = sum(layer.shape.dense_macs for layer in layers.values())
    whole = trace_step(teacher, tmp_path / "whole")
    assert whole.omitted == ()
    unlike = [name for name, entry in whole.entries.items() if not entry.normalised]
    assert unlike == ["classifier"]
    convolutions = trace_step(teacher, tmp_path / "convolutions", list(layers)[:-1])
    share = layers["classifier"].shape.dense_macs / total
    assert convolutions.omitted == (
        Omitted(name="classifier", kind="fully connected layer", macs=8 * 64 * 10, share=share),
    )
    part = trace_step(teacher, tmp_path / "part", ["stem", "head"])
    assert {one.name for one in part.omitted} == layers.keys() - {"stem", "head"}
    assert {one.kind for one in part.omitted} == {
        "fully connected layer",
        "convolution that is not traced",
    }
    traced = sum(layers[name].shape.dense_macs for name in ("stem", "head"))
    assert covered_share(part.omitted) == pytest.approx(traced / total)
    assert load_trace(tmp_path / "part") == part
