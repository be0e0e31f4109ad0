"""Checkpoints: earlier ones are read; damage, other files and what would execute are refused."""

from __future__ import annotations

import zipfile

import pytest
import torch

from gscn.errors import InputError
from gscn.golden.recipe import Recipe
from gscn.golden.training.training import Trainer
from tests.golden.test_recipe import EVERY_OPTION
from tests.golden.training.test_training import advance


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
