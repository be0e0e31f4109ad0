"""Scaled losses: the same training to the bit, steps left out, checkpoints."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from gscn import golden
from gscn.errors import InputError
from gscn.golden.recipe import METHODS, Recipe
from gscn.golden.training.loss_scaling import LossScaling
from gscn.golden.training.training import Trainer


def same_networks(*trainers: Trainer) -> bool:
    states = [
        {k: v for k, v in t.network.state_dict().items() if torch.is_tensor(v)} for t in trainers
    ]
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize("loss_scale", [2.0**13, 2.0**-9])
@pytest.mark.parametrize("method", METHODS)
def test_a_scale_that_stays_changes_no_bit_of_a_training_in_float32(method, loss_scale):
    recipe = Recipe(method=method, batch_size=8)
    plain = Trainer(recipe)
    scaled = Trainer(dataclasses.replace(recipe, loss_scale=loss_scale))
    losses = [[(p.loss, p.stepped) for p in t.run(5)] for t in (plain, scaled)]
    assert losses[0] == losses[1]
    assert same_networks(plain, scaled)
    assert scaled.scaling.scale == loss_scale


def overflowing(trainer: Trainer) -> None:
    """Let the gradient of the last convolution be infinite, once, in the next iteration."""
    layer = trainer.network.get_submodule("block3.conv2")

    def spoil(_, grads):
        handle.remove()
        return (grads[0] * float("inf"),)

    handle = layer.register_full_backward_pre_hook(spoil)


def method_state(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {
        name: value.clone()
        for name, value in trainer.network.state_dict().items()
        if name.endswith((".threshold", ".reused_grad"))
    }


def test_a_step_whose_gradients_are_infinite_is_left_out_and_halves_the_scale():
    trainer = Trainer(Recipe(method="resprop", batch_size=8, arithmetic="fp16"))
    assert all(done.stepped for done in trainer.run(3))
    before = {name: value.clone() for name, value in trainer.network.named_parameters()}
    held, scale = method_state(trainer), trainer.scaling.scale
    assert scale == 2.0**16
    overflowing(trainer)
    assert not trainer.step().stepped
    assert trainer.scaling.scale == scale / 2
    assert all(torch.equal(v, before[n]) for n, v in trainer.network.named_parameters())
    # Infinite at the spoilt layer and all before it.
    after = method_state(trainer)
    spoilt = [name for name in held if name.startswith(("stem", "block1", "block2", "block3.conv"))]
    assert spoilt
    assert all(torch.equal(held[name], after[name]) for name in spoilt)
    assert all(value.isfinite().all() for value in after.values())
    # What is remembered is not scaled, so the next iteration goes on with the new scale.
    assert trainer.step().stepped
    assert all(value.isfinite().all() for value in method_state(trainer).values())


def test_the_momentum_budget_does_not_follow_a_step_that_was_left_out():
    recipe = Recipe(method="swat", budget="momentum", batch_size=8, loss_scale="dynamic")
    trainer = Trainer(recipe)
    overflowing(trainer)
    # There is no momentum yet.
    assert not trainer.step().stepped
    assert trainer.step().stepped


def test_a_fixed_scale_stays_after_steps_that_were_left_out():
    trainer = Trainer(Recipe(batch_size=8, arithmetic="fp16", loss_scale=2.0**24))
    found = [done.stepped for done in trainer.run(2)]
    assert found == [False, False], "gradients times 2**24 leave fp16"
    assert trainer.scaling.scale == 2.0**24


def test_a_scale_that_falls_without_end_is_an_error():
    layer = golden.sparsify(nn.Linear(2, 1), "dense")
    scaling = LossScaling("dynamic", layer)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)

    def step() -> bool:
        return scaling.step((layer(torch.ones(1, 2)) * float("inf")).sum(), optimizer)

    while scaling.scale > 2.0**-126:
        assert not step()
    with pytest.raises(InputError, match=r"loss scale must stay at least .* never finite"):
        step()
    assert layer.weight.isfinite().all()


def test_a_checkpoint_goes_on_with_the_scale(tmp_path):
    recipe = Recipe(method="swat+resprop", arithmetic="fp16", batch_size=4)
    trainers = [Trainer(recipe) for _ in range(2)]
    for trainer in trainers:
        overflowing(trainer)
        trainer.step()
    trainers[1].save(tmp_path / "cut.pt")
    resumed = Trainer.load(tmp_path / "cut.pt")
    assert resumed.scaling.scale == 2.0**15
    assert resumed.scaling.state_dict() == trainers[0].scaling.state_dict()
    losses = [[p.loss for p in trainer.run(3)] for trainer in (trainers[0], resumed)]
    assert losses[0] == losses[1]
    assert same_networks(trainers[0], resumed)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"scale": float("inf")}, "loss scale must be at least .* and finite"),
        ({"scale": 0.0}, "loss scale must be at least .* and finite"),
        ({"scale": "2"}, "loss scale must be at least .* and finite"),
        ({"growth_factor": 3.0}, r"growth_factor of the loss scale must be 2\.0"),
        ({"_growth_tracker": -1}, "steps since the loss scale changed"),
        ({"more": 1}, "state of the loss scale must be of the recipe's"),
        (None, "state of the loss scale must be of the recipe's"),
    ],
)
def test_states_of_other_scalings_are_refused(tmp_path, change, problem):
    trainer = Trainer(Recipe(arithmetic="fp16"))
    trainer.step()
    trainer.save(tmp_path / "good.pt")
    state = torch.load(tmp_path / "good.pt", weights_only=True)
    state["scaling"] = {} if change is None else state["scaling"] | change
    torch.save(state, tmp_path / "bad.pt")
    with pytest.raises(InputError, match=problem):
        Trainer.load(tmp_path / "bad.pt")


def test_a_checkpoint_of_before_losses_were_scaled_is_one_without(tmp_path):
    trainer = Trainer(Recipe(batch_size=4))
    trainer.save(tmp_path / "new.pt")
    state = torch.load(tmp_path / "new.pt", weights_only=True)
    assert state.pop("scaling") == {}
    for name in ("loss_scale", "scales"):
        del state["recipe"][name]
    torch.save(state, tmp_path / "old.pt")
    recipe = Trainer.load(tmp_path / "old.pt").recipe
    assert (recipe.loss_scale, recipe.scales) == ("none", "none")
