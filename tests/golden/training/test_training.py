"""Networks and training: reproducible, resumable, and as accurate as dense training."""

from __future__ import annotations

import re
import zipfile
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from gscn import golden
from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.data.digits import load_digits
from gscn.golden.methods.layers import TrainingLayer
from gscn.golden.methods.resprop import GradientReuse
from gscn.golden.methods.swat import TopK
from gscn.golden.recipe import METHODS, PRESETS, Recipe, method_options
from gscn.golden.traces.recording import recording
from gscn.golden.training.model import build_network, conv_layers, convert
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


def test_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "model.pt"
    with pytest.raises(InputError, match=r"must be an existing file, not .*model\.pt"):
        Trainer.load(path)
    trainer = Trainer(Recipe(epochs=1, batch_size=8))
    trainer.save(path)
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    for damaged in (content[: len(content) // 2], b"", b"text", bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"model\.pt must be a checkpoint of this program"):
            Trainer.load(path)
    for stored, complaint in (
        ({"version": 1}, "must be a checkpoint of version 2, not 1"),
        ({"version": 2, "recipe": {"method": "magic"}}, "method must be one of"),
        ({"version": 2, "recipe": {"colour": 1}}, "colour"),
        (torch.zeros(3), "must be a checkpoint"),
    ):
        torch.save(stored, path)
        with pytest.raises(InputError, match=rf"model\.pt.*{complaint}"):
            Trainer.load(path)


def drop(state: dict, name: str) -> None:
    del state[name]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "model.pt"
    trainer = Trainer(Recipe(epochs=1, batch_size=8, method="swat"))
    trainer.step()
    trainer.save(path)
    return path


def wide(values: int, *shape: int) -> torch.Tensor:
    """Return a tensor of any shape whose elements are few values."""
    return torch.zeros(values)[:1].expand(shape)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda s: s.update(iteration=float("inf")), "iteration must be 0 to 168, not inf"),
        (lambda s: s.update(iteration=-1), "iteration must be 0 to 168, not -1"),
        (lambda s: s.update(iteration=169), "iteration must be 0 to 168, not 169"),
        (lambda s: s.update(iteration=True), "iteration must be 0 to 168, not True"),
        (lambda s: drop(s, "iteration"), "iteration must be 0 to 168, not None"),
        (lambda s: s["recipe"].update(network="resnet18", width="64"), "width must be a whole"),
        (lambda s: s["recipe"].update(epochs=1.0), "epochs must be a whole number"),
        (lambda s: s["recipe"].update(method="swat", sparsity="0"), "sparsity must be at least 0"),
        (lambda s: s["recipe"].update(learning_rate=float("nan")), "learning_rate must be pos"),
        (lambda s: s["recipe"].update(network="resnet50", width=65536), "its network must have"),
        (lambda s: s["network"].update({"stem.weight": torch.zeros(3)}), "stem.weight' must be"),
        (lambda s: s["network"].update({"stem.weight": 3}), "stem.weight' must be"),
        (lambda s: s["network"].update({"stem.weight": wide(1, 10**6, 10**6)}), "all its values"),
        (lambda s: s["network"].update(other=torch.zeros(1)), "'other' is unknown"),
        (
            lambda s: drop(s["network"], "stem_norm.running_mean"),
            "'stem_norm.running_mean' is missing",
        ),
        (lambda s: s["network"].update(a=torch.zeros(2).to_sparse()), "and tensors, not"),
        (lambda s: s.update(network=[]), "state is missing"),
        (lambda s: s.update(optimizer={}), "optimizer's state is missing"),
        (lambda s: s["optimizer"]["param_groups"][0].update(momentum=9.0), "options must be"),
        (lambda s: s["optimizer"]["param_groups"][0].update(maximize=True), "options must be"),
        (
            lambda s: s["optimizer"]["state"][0].update(momentum_buffer=torch.zeros(2)),
            "state of parameter 0 must be",
        ),
        (lambda s: s["optimizer"]["state"].update({999: {}}), "of its parameters, not 999"),
        (lambda s: s.update(deep=[[[[[[[[[[1]]]]]]]]]]), "nesting must be at most 8"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_before_it_is_made(
    checkpoint, tmp_path, monkeypatch, change, complaint
):
    path = tmp_path / "model.pt"
    stored = torch.load(checkpoint)
    change(stored)
    torch.save(stored, path)
    # None of these needs the values of tensors.
    monkeypatch.delattr("gscn.golden.training.training.load_checkpoint")
    with pytest.raises(InputError, match=rf"model\.pt.*{complaint}"):
        Trainer.load(path)


@pytest.mark.parametrize(
    ("pickle", "complaint"),
    [
        (b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\0\0\0\0\0\1\x85R.", "and tensors, not"),
        (b"\x80\x02cos\nsystem\nX\4\0\0\0true\x85R.", "and tensors, not"),
        (b"\x80\x02" + b"]" * 600_001, "steps must be at most 600000"),
        (b"\x80\x02", "ends early"),
        (bytes(17 << 20), "one pickle of at most 16777216 bytes"),
    ],
)
def test_a_pickle_that_is_no_data_is_refused(tmp_path, pickle, complaint):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle)
    with pytest.raises(InputError, match=rf"model\.pt must be a checkpoint.*{complaint}"):
        Trainer.load(path)


def test_what_expands_is_no_checkpoint(checkpoint, tmp_path):
    path = tmp_path / "model.pt"
    with (
        zipfile.ZipFile(checkpoint) as old,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(InputError, match=r"model\.pt must be a checkpoint.* must be stored"):
        Trainer.load(path)


def test_methods_start_from_equal_parameters():
    dense, *others = (build_network(method, seed=3) for method in METHODS)
    for network in others:
        own = dict(network.named_parameters())
        for name, parameter in dense.named_parameters():
            assert torch.equal(own.pop(name), parameter)
        # DST has a threshold for every filter besides.
        assert all("weight_mask" in name for name in own)


def kind(layer: TrainingLayer) -> str:
    parts = (layer.gscn.operand_sparsifier, layer.gscn.gradient_sparsifier)
    types = [{TopK: "swat", GradientReuse: "resprop"}[type(p)] for p in parts if p is not None]
    return "+".join(types) or "dense"


@pytest.mark.parametrize(
    ("method", "first_conv", "first", "others"),
    [
        ("dense", None, "dense", "dense"),
        ("swat", "paper", "dense", "swat"),
        ("swat", "sparse", "swat", "swat"),
        ("resprop", "paper", "resprop", "resprop"),
        ("resprop", "dense", "dense", "resprop"),
        ("swat+resprop", "paper", "resprop", "swat+resprop"),
        ("swat+resprop", "sparse", "swat+resprop", "swat+resprop"),
        ("swat+resprop", "dense", "dense", "swat+resprop"),
    ],
)
def test_conversion_follows_method_and_first_conv_rule(method, first_conv, first, others):
    network = build_network(method, first_conv=first_conv)
    kinds = [kind(conv) for conv in conv_layers(network).values()]
    assert len(kinds) == 10
    assert kinds == [first] + [others] * 9
    assert kind(network.classifier) == ("swat" if "swat" in method else "dense")


def test_layers_of_a_network_draw_from_generators_of_their_own():
    network = build_network("resprop", seed=1)
    seeds = {m.generator.initial_seed() for m in network.modules() if isinstance(m, GradientReuse)}
    assert len(seeds) == 10


def test_conversion_names_the_layer_that_is_not_supported():
    network = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1, groups=2))
    with pytest.raises(InputError, match="layer 1: groups must be 1, not 2"):
        convert(network, "dense")
    reflecting = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"))
    with pytest.raises(InputError, match=r"layer 0: padding mode must be 'zeros', not 'reflect'"):
        convert(reflecting, "swat")
    with pytest.raises(InputError, match=r"method must be one of dense, .*, not 'magic'"):
        convert(network, "magic")
    with pytest.raises(InputError, match=r"first_conv must be one of paper, .*, not 'last'"):
        convert(network, "dense", first_conv="last")
    with pytest.raises(InputError, match="ReSprop: sparsity must be"):
        convert(nn.Sequential(nn.Conv2d(2, 2, 1)), "resprop", sparsity=1.0)


def test_options_reach_the_layers():
    network = build_network("swat+resprop", sparsity=0.7, refresh_period=5, warm_up=True)
    reuses = [m for m in network.modules() if isinstance(m, GradientReuse)]
    assert {(reuse.sparsity, reuse.warm_up) for reuse in reuses} == {(0.7, True)}
    found = {m.refresh_period for m in network.modules() if isinstance(m, TopK)}
    assert found == {1, 5}
    assert network.classifier.gscn.operand_sparsifier.refresh_period == 1
    assert {m.density for m in network.modules() if isinstance(m, TopK)} == {Fraction("0.3")}


EVERY_OPTION = {
    "sparsity": 0.5,
    "budget": "erk",
    "structure": "kernel",
    "refresh_period": 3,
    "warm_up": True,
    "first_conv": "sparse",
    "dst_alpha": 1e-4,
}


@pytest.mark.parametrize("method", METHODS)
def test_options_that_a_method_does_not_have_are_refused_by_name(method):
    owned = {
        "dense": [],
        "swat": ["sparsity", "budget", "structure", "refresh_period", "first_conv"],
        "resprop": ["sparsity", "warm_up", "first_conv"],
        "dst": ["first_conv", "dst_alpha"],
    }
    named = re.escape(method)
    owned["swat+resprop"] = [*owned["swat"], *owned["resprop"]]
    for name, value in EVERY_OPTION.items():
        if name in owned[method]:
            assert getattr(Recipe(method=method, **{name: value}), name) == value
            assert getattr(Recipe(method=method), name) is not None
            continue
        assert getattr(Recipe(method=method), name) is None
        with pytest.raises(InputError, match=f"{name} is no option of the method {named}, which"):
            Recipe(method=method, **{name: value})
        if name != "dst_alpha":
            with pytest.raises(InputError, match=f"{name} is no option of the method {named}, w"):
                build_network(method, **{name: value})
        with pytest.raises(InputError, match=f"option of {named} must be one of .* not "):
            golden.sparsify(
                nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)),
                method,
                **{{"first_conv": "first_conv_rule"}.get(name, name): value},
            )


def test_numbers_of_a_recipe_may_be_those_of_numpy():
    recipe = Recipe(method="swat", sparsity=np.float32(0.9), seed=np.int64(3), epochs=np.uint8(2))
    assert recipe == Recipe(method="swat", sparsity=0.9, seed=3, epochs=2)
    with pytest.raises(InputError, match=r"epochs must be a whole number of at least 1, not 1\.5"):
        Recipe(epochs=1.5)
    with pytest.raises(InputError, match="augment must be True or False, not 'yes'"):
        Recipe(augment="yes")
    with pytest.raises(InputError, match=r"width is for the networks resnet18, .*, not for digits"):
        Recipe(width=8)


def test_checkpoints_with_the_options_of_all_methods_and_earlier_names_go_on(tmp_path):
    """As they were written when every recipe had every option."""
    for method in ("dst", "swat+resprop"):
        whole = Trainer(Recipe(method=method, epochs=1, batch_size=8))
        advance(whole, 3)
        whole.save(tmp_path / "new.pt")
        content = torch.load(tmp_path / "new.pt", weights_only=True)
        every = {**EVERY_OPTION, "sparsity": 0.8, "width": 64, "warm_up": False}
        content["recipe"] = {
            **every,
            **{k: v for k, v in content["recipe"].items() if v is not None},
        }
        content["network"] = {k.replace(".gscn.", "."): v for k, v in content["network"].items()}
        assert len(content["network"]) == len(whole.network.state_dict())
        torch.save(content, tmp_path / "old.pt")
        resumed = Trainer.load(tmp_path / "old.pt")
        assert resumed.recipe == whole.recipe
        assert advance(resumed, 6) == advance(whole, 6)


def test_recipe_names_every_problem_at_once():
    with pytest.raises(InputError, match=r"sparsity must be .*; epochs must be .*; seed must be"):
        Recipe(sparsity=1.0, epochs=0, seed=-1)
    with pytest.raises(InputError, match="batch_size must be at most the 1348 training images"):
        Trainer(Recipe(batch_size=2000))


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


def test_digits_are_split_without_overlap():
    digits = load_digits()
    assert digits.train_images.shape == (1348, 1, 8, 8)
    assert digits.test_images.shape == (449, 1, 8, 8)
    both = torch.cat([digits.train_images, digits.test_images])
    assert (both.min().item(), both.max().item()) == (0.0, 1.0)
    from sklearn.datasets import load_digits as load_bundled

    original = np.sort(load_bundled().data.view("f8").sum(1))
    assert np.array_equal(np.sort(both.double().sum((1, 2, 3)).numpy() * 16), original)
    assert digits.test_labels.unique().tolist() == list(range(10))


def test_evaluation_uses_the_sparsified_weights():
    trainer = Trainer(Recipe(method="swat", sparsity=0.99, epochs=1))
    before = trainer.evaluate()
    advance(trainer, 5)
    with recording(trainer.network, ["head"]) as traced:
        assert 0 <= trainer.evaluate() <= 1
    one = traced["head"][0]
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
            for one in passes:
                if one.which is Pass.WEIGHT_GRAD:
                    kept += np.count_nonzero(one.first)
                    size += one.first.size
    # Halving and doubling makes the density swing around the target.
    assert 0.15 < kept / size < 0.35
