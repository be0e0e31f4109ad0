"""What logs say of sparsity."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.command.training_run import flops_saved, layers_of
from gscn.conv import Pass
from gscn.golden.methods.layer_densities import made_densities, tensor_sparsities
from gscn.golden.recipe import PRESETS, Recipe
from gscn.golden.traces.recording import recording
from gscn.golden.training.training import Trainer
from gscn.perf.workload.flops import training_reduction
from gscn.perf.workload.sparsification import Method, Sparsification


def trained(iterations: int, **recipe) -> Trainer:
    trainer = Trainer(Recipe(epochs=1, batch_size=8, **recipe))
    for _ in trainer.run(iterations):
        pass
    return trainer


def test_sparsities_are_those_of_the_tensors_that_were_used():
    trainer = trained(2, method="swat+resprop", sparsity=0.9)
    with recording(trainer.network) as traced:
        trainer.step()
    zeros = dict.fromkeys(("weights", "activations", "output_grads"), 0)
    sizes = dict(zeros)
    made = made_densities(trainer.network)
    for name, passes in traced.items():
        by_pass = {one.which: one for _, one in passes}
        grads = by_pass[Pass.WEIGHT_GRAD]
        for kind, array in (
            ("weights", by_pass[Pass.FORWARD].first),
            ("activations", grads.second),
            ("output_grads", grads.first),
        ):
            zeros[kind] += array.size - np.count_nonzero(array)
            sizes[kind] += array.size
            if kind == "output_grads" or name != "stem":
                assert getattr(made[name], kind) == np.count_nonzero(array) / array.size
        # The classifier is pruned; its output gradients are not.
        assert made[name].reuses == (name != "classifier")
    assert (made["stem"].weights, made["stem"].activations) == (1, 1)
    assert (made["classifier"].output_grads, made["classifier"].reuses) == (1, False)
    assert tensor_sparsities(trainer.network) == {k: zeros[k] / sizes[k] for k in zeros}


def test_zeros_of_relu_are_not_credited():
    trainer = trained(1, method="dense")
    assert tensor_sparsities(trainer.network)["activations"] > 0.1
    assert flops_saved(trainer, layers_of(trainer)) == 0
    assert tensor_sparsities(Trainer(Recipe()).network) == {}


def test_saved_flops_of_swat_are_those_aimed_at():
    trainer = trained(1, method="swat", sparsity=0.8)
    layers = layers_of(trainer)
    assert [layer.name for layer in layers.layers][::10] == ["stem", "classifier"]
    aimed = training_reduction(layers, Sparsification(method=Method.SWAT, sparsity=0.8))
    assert flops_saved(trainer, layers) == pytest.approx(aimed, abs=0.005)


def test_dense_iterations_of_resprop_save_nothing():
    trainer = trained(1, method="resprop", sparsity=0.9)
    layers = layers_of(trainer)
    assert flops_saved(trainer, layers) == 0
    trainer.step()
    assert flops_saved(trainer, layers) != 0


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_train(preset):
    trainer = Trainer(Recipe(epochs=1, batch_size=8, **PRESETS[preset]))
    for _ in trainer.run(3):
        pass
    zeros = tensor_sparsities(trainer.network)["weights"]
    if "swat" in preset and "kernels" not in preset:
        # The first layer may be dense, and thresholds are three iterations old.
        assert zeros == pytest.approx(trainer.recipe.sparsity, abs=0.015)
    elif "kernels" in preset:
        assert zeros > 0.5
    elif preset == "dst":
        assert 0 <= zeros < 0.5
    else:
        assert zeros == 0
