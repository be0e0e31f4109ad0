from __future__ import annotations

import importlib
import sys

import pytest
import torch

from gscn.errors import InputError
from gscn.golden.networks import libraries


def test_networks_of_both_libraries_run():
    made = [
        libraries.torchvision().models.get_model("squeezenet1_1", num_classes=3),
        libraries.timm().create_model("test_resnet", num_classes=3),
    ]
    images = torch.zeros(2, 3, 64, 64)
    assert [model.eval()(images).shape for model in made] == [(2, 3), (2, 3)]


@pytest.mark.parametrize(
    ("hidden", "call"),
    [("torchvision", "torchvision"), ("torchvision", "timm"), ("timm", "timm")],
)
def test_what_is_missing_is_named(monkeypatch, hidden, call):
    monkeypatch.setitem(sys.modules, hidden, None)
    with pytest.raises(InputError, match=rf"need the package {hidden}: pip install"):
        getattr(libraries, call)()


def test_what_a_library_lacks_is_named(monkeypatch):
    def lacking(name):
        raise ModuleNotFoundError("No module", name="huggingface_hub")

    libraries.torchvision()
    monkeypatch.setattr(libraries, "torchvision", lambda: None)
    monkeypatch.setattr(importlib, "import_module", lacking)
    with pytest.raises(InputError, match=r"the package timm \(huggingface_hub is missing\)"):
        libraries.timm()


def test_a_release_for_another_torch_is_named(monkeypatch):
    def unfit(name):
        raise RuntimeError("undefined symbol")

    monkeypatch.setattr(importlib, "import_module", unfit)
    with pytest.raises(InputError, match=r"must be the release that fits torch .*undefined"):
        libraries.torchvision()
