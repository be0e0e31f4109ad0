"""ResNet-18 for 32x32 images: its structure, its training, its traces and checkpoints."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.data.composites import load_composites
from gscn.golden.networks.residual import ResNet
from gscn.golden.recipe import Recipe, method_options
from gscn.golden.traces.recording import trace_step
from gscn.golden.traces.trace import load_trace
from gscn.golden.training.converted_network import build_network, conv_layers
from gscn.golden.training.training import Trainer

RECIPE = Recipe(
    network="resnet18",
    width=4,
    method="swat+resprop",
    sparsity=0.9,
    epochs=2,
    iterations_per_epoch=5,
    batch_size=8,
    refresh_period=2,
)
LAYERS = {
    # name: input channels, output channels, kernel, stride, input height; channels in widths
    "stem": (0, 1, 3, 1, 32),
    "stage1.0.conv1": (1, 1, 3, 1, 32),
    "stage1.0.conv2": (1, 1, 3, 1, 32),
    "stage1.1.conv1": (1, 1, 3, 1, 32),
    "stage1.1.conv2": (1, 1, 3, 1, 32),
    "stage2.0.conv1": (1, 2, 3, 2, 32),
    "stage2.0.conv2": (2, 2, 3, 1, 16),
    "stage2.0.shortcut.0": (1, 2, 1, 2, 32),
    "stage2.1.conv1": (2, 2, 3, 1, 16),
    "stage2.1.conv2": (2, 2, 3, 1, 16),
    "stage3.0.conv1": (2, 4, 3, 2, 16),
    "stage3.0.conv2": (4, 4, 3, 1, 8),
    "stage3.0.shortcut.0": (2, 4, 1, 2, 16),
    "stage3.1.conv1": (4, 4, 3, 1, 8),
    "stage3.1.conv2": (4, 4, 3, 1, 8),
    "stage4.0.conv1": (4, 8, 3, 2, 8),
    "stage4.0.conv2": (8, 8, 3, 1, 4),
    "stage4.0.shortcut.0": (4, 8, 1, 2, 8),
    "stage4.1.conv1": (8, 8, 3, 1, 4),
    "stage4.1.conv2": (8, 8, 3, 1, 4),
}


@pytest.fixture(scope="module")
def composites():
    return load_composites()


def advance(trainer: Trainer, iterations: int) -> list[float]:
    return [progress.loss for progress in trainer.run(iterations)]


def test_parameters_are_those_of_resnet18_with_the_small_stem_and_classifier():
    with torch.device("meta"):
        network = ResNet((2, 2, 2, 2), small=True, classes=10)
    # 11,689,512 are published with torchvision's resnet18: 7x7 stem, 1000 classes.
    stems, classifiers = (3 * 64 * 7 * 7, 3 * 64 * 3 * 3), (513 * 1000, 513 * 10)
    expected = 11_689_512 - stems[0] + stems[1] - classifiers[0] + classifiers[1]
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_a_traced_step_has_every_convolution_in_its_shape(composites, tmp_path):
    trainer = Trainer(RECIPE, composites)
    advance(trainer, 3)
    written = trace_step(trainer, tmp_path / "trace")
    trace = load_trace(tmp_path / "trace")
    assert trace == written
    assert (trace.network, trace.dataset) == ("resnet18", "composites")
    assert (trace.step, trace.dense_iteration) == (3, False)
    shapes = {name: entry.shape for name, entry in trace.entries.items()}
    assert list(shapes) == [*LAYERS, "classifier"]
    for name, (c, k, kernel, stride, height) in LAYERS.items():
        shape = shapes[name]
        assert shape.x_shape == (8, 4 * c or 3, height, height), name
        assert shape.w_shape == (4 * k, 4 * c or 3, kernel, kernel), name
        assert shape.y_shape == (8, 4 * k, height // stride, height // stride), name
        expected = set(Pass) - ({Pass.INPUT_GRAD} if name == "stem" else set())
        assert set(trace.entries[name].densities) == expected


@pytest.mark.parametrize("method", ["dense", "swat+resprop"])
def test_conversion_reaches_every_layer(method):
    rule = method_options(method, first_conv="sparse")
    network = build_network(method, network="resnet18", width=4, **rule)
    assert list(conv_layers(network)) == list(LAYERS)
    for conv in conv_layers(network).values():
        assert (conv.gscn.operand_sparsifier is None) == (method == "dense")
        assert (conv.gscn.gradient_sparsifier is None) == (method == "dense")


def test_checkpoint_goes_on_exactly_with_the_network_of_its_recipe(composites, tmp_path):
    whole, cut = Trainer(RECIPE, composites), Trainer(RECIPE, composites)
    losses = advance(whole, 7)
    advance(cut, 4)
    cut.save(tmp_path / "cut.pt")
    resumed = Trainer.load(tmp_path / "cut.pt")
    assert resumed.recipe == RECIPE
    assert resumed.dataset.name == "composites"
    assert advance(resumed, 7) == losses[4:]


def test_epochs_end_after_the_iterations_of_the_recipe(composites):
    trainer = Trainer(RECIPE, composites)
    seen = []
    trainer.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    progress = list(trainer.run())
    assert [p.epoch for p in progress] == [0] * 5 + [1] * 5
    assert [p.dense_iteration for p in progress] == [True, False, False, False, True] * 2
    assert len(torch.cat(seen[:5]).unique(dim=0)) == 40
    assert not torch.equal(seen[0], seen[5]), "the next epoch has an order of its own"


def test_recipe_refuses_what_no_network_or_data_set_has(composites):
    with pytest.raises(InputError, match=r"network must be one of digits, resnet18.*; width must"):
        Recipe(network="vgg", width=0, iterations_per_epoch=0)
    with pytest.raises(InputError, match="iterations_per_epoch must be at least 1, not 0"):
        Recipe(iterations_per_epoch=0)
    with pytest.raises(InputError, match=r"network must be one of digits, .*, not 'vgg'"):
        build_network("dense", network="vgg")
    with pytest.raises(InputError, match="width must be at least 1, not 0"):
        build_network("dense", network="resnet18", width=0)
    with pytest.raises(InputError, match=r"must be at most the 168 mini-batches .*, not 169"):
        Trainer(Recipe(network="resnet18", width=4, iterations_per_epoch=169), composites)


@pytest.mark.slow
def test_it_learns_at_high_sparsity_with_the_published_warm_up(composites):
    recipe = dataclasses.replace(
        RECIPE,
        width=16,
        epochs=10,
        iterations_per_epoch=32,
        batch_size=32,
        refresh_period=10,
        learning_rate=0.01,
        warm_up=True,
    )
    trainer = Trainer(recipe, composites)
    advance(trainer, trainer.iterations)
    assert trainer.evaluate() > 0.4
