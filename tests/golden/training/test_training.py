"""Networks and training: reproducible, resumable, and as accurate as dense training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.recipe import METHODS, PRESETS, Recipe, method_options
from gscn.golden.traces.recording import recording
from gscn.golden.training.training import Trainer, train


def state(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.network.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def advance(trainer: Trainer, iterations: int) -> list[float]:
    return [progress.loss for progress in trainer.run(iterations)]


@pytest.mark.parametrize("method", METHODS)
def test_training_is_reproducible_and_leaves_global_random_state_alone(method):
    recipe = Recipe(method=method, epochs=1, batch_size=8)
    before = torch.random.get_rng_state()
    first, second, other = (
        Trainer(r) for r in (recipe, recipe, Recipe(method=method, epochs=1, batch_size=8, seed=1))
    )
    assert advance(first, 6) == advance(second, 6)
    assert same(state(first), state(second))
    advance(other, 6)
    assert not same(state(first), state(other))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("method", ["swat+resprop", "dense"])
def test_checkpoint_goes_on_exactly(method, tmp_path):
    options = method_options(method, refresh_period=4)
    recipe = Recipe(method=method, epochs=1, batch_size=8, **options)
    whole, cut = Trainer(recipe), Trainer(recipe)
    losses = advance(whole, 10)
    advance(cut, 5)
    cut.save(tmp_path / "deep" / "cut.pt")
    resumed = Trainer.load(tmp_path / "deep" / "cut.pt")
    assert resumed.recipe == recipe
    assert advance(resumed, 10) == losses[5:]
    assert same(state(resumed), state(whole))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["cut.pt"]


@pytest.mark.parametrize("preset", PRESETS)
def test_checkpoint_of_every_preset_goes_on_exactly(preset, tmp_path):
    fields = method_options(PRESETS[preset]["method"], refresh_period=3, dst_alpha=1e-2)
    recipe = Recipe(augment=True, epochs=1, batch_size=8, **fields, **PRESETS[preset])
    whole, cut = Trainer(recipe), Trainer(recipe)
    losses = advance(whole, 9)
    advance(cut, 5)
    cut.save(tmp_path / "cut.pt")
    resumed = Trainer.load(tmp_path / "cut.pt")
    assert advance(resumed, 9) == losses[5:]
    assert same(state(resumed), state(whole))


def test_training_ends_with_the_recipe_and_stops_when_it_diverges():
    trainer = Trainer(Recipe(epochs=1, batch_size=600))
    progress = list(trainer.run())
    assert [p.iteration for p in progress] == [1, 2]
    assert [p.dense_iteration for p in progress] == [True, True]
    with pytest.raises(InputError, match="the recipe ends after 2 iterations"):
        trainer.step()
    with pytest.raises(InputError, match="training diverged: the loss of iteration"):
        advance(Trainer(Recipe(epochs=1, batch_size=8, learning_rate=1e38)), 20)
    trainer = Trainer(Recipe(method="swat", epochs=1, batch_size=8))

    def spoil(*arguments: torch.Tensor) -> None:
        arguments[-1].register_hook(lambda gradient: gradient * torch.nan)

    trainer.network.head.register_forward_hook(spoil)
    with pytest.raises(InputError, match=r"diverged in iteration 0: layer head: .*; learning_rate"):
        trainer.step()


def test_an_epoch_uses_every_image_at_most_once_and_the_next_another_order():
    trainer = Trainer(Recipe(epochs=2, batch_size=300))
    seen = []
    trainer.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    advance(trainer, 8)
    distinct = trainer.dataset.train_images.unique(dim=0)
    assert len(distinct) == 1348
    for epoch in (seen[:4], seen[4:]):
        assert len(torch.cat(epoch).unique(dim=0)) == 1200
    assert not torch.equal(seen[0], seen[4])


def test_evaluation_uses_the_sparsified_weights():
    trainer = Trainer(Recipe(method="swat", sparsity=0.99, epochs=1))
    before = trainer.evaluate()
    advance(trainer, 5)
    with recording(trainer.network, ["head"]) as traced:
        assert 0 <= trainer.evaluate() <= 1
    _, one = traced["head"][0]
    assert np.count_nonzero(one.first) == 41  # ceil(0.01 * 64 * 64)
    assert before < 0.5


def accuracies(methods, sparsity: float, epochs: int, seed: int) -> dict[str, float]:
    return {
        method: train(
            Recipe(
                method=method, epochs=epochs, seed=seed, **method_options(method, sparsity=sparsity)
            )
        ).test_accuracy
        for method in methods
    }


def test_sparse_training_is_within_two_points_of_dense():
    found = accuracies(("dense", "swat", "resprop"), sparsity=0.8, epochs=5, seed=0)
    assert found["dense"] > 0.97
    assert min(found["swat"], found["resprop"]) >= found["dense"] - 0.02, found


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_methods_are_within_two_points_of_dense_after_longer_training(seed):
    found = accuracies(METHODS, sparsity=0.8, epochs=12, seed=seed)
    assert found["dense"] > 0.98
    assert min(found.values()) >= found["dense"] - 0.02, found


def test_gradients_reach_the_density_aimed_at():
    trainer = Trainer(Recipe(method="resprop", sparsity=0.8, epochs=2))
    advance(trainer, 50)
    kept, size = 0, 0
    for _ in range(25):
        with recording(trainer.network) as traced:
            assert not trainer.step().dense_iteration
        for passes in traced.values():
            for _, one in passes:
                if one.which is Pass.WEIGHT_GRAD:
                    kept += np.count_nonzero(one.first)
                    size += one.first.size
    # Halving and doubling makes the density swing around the target.
    assert 0.15 < kept / size < 0.35


def test_images_are_scaled_and_changed_as_the_recipe_says():
    trainer = Trainer(Recipe(network="resnet20", image_size=40, augment=True, batch_size=2))
    seen = []
    trainer.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    trainer.step()
    assert seen[0].shape == (2, 3, 40, 40)
    plain = Trainer(Recipe(network="resnet20", image_size=40, batch_size=2))
    plain.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    plain.step()
    assert not torch.equal(*seen)


def test_dropout_is_drawn_from_the_seed_and_the_iteration():
    # A recipe's dropout is that of its iteration, whoever used torch's generator before.
    state = torch.random.get_rng_state()
    losses = []
    for _ in range(2):
        trainer = Trainer(Recipe(epochs=1, batch_size=8))
        trainer.network.head_norm = torch.nn.Sequential(
            trainer.network.head_norm, torch.nn.Dropout()
        )
        losses.append([p.loss for p in trainer.run(2)])
        torch.rand(1)
    torch.random.set_rng_state(state)
    assert losses[0] == losses[1]
