"""Exported programs are the networks that they were exported from."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn
from torch.nn import functional

from gscn import golden
from gscn.errors import InputError
from gscn.golden.methods.watching import SparsityWarning
from gscn.golden.networks import BATCH
from gscn.golden.networks.exported import exported_model
from gscn.golden.networks.libraries import torchvision
from gscn.golden.networks.sources import named_model
from gscn.golden.networks.survey import survey


class Varied(nn.Module):
    """Layers of all kinds: called twice, tied, used past the layer, with buffers and constants."""

    def __init__(self):
        super().__init__()
        # Not in the order in which they are called.
        self.head = nn.Linear(6, 5)
        self.stem = nn.Conv2d(3, 6, 3, padding="same", bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.deep = nn.Sequential(nn.Conv2d(6, 6, 3, 2, 1, groups=6), nn.ReLU())
        self.up = nn.ConvTranspose2d(6, 6, 3, stride=2, padding=1, output_padding=1)
        self.tied = nn.Linear(6, 5)
        self.tied.weight = self.head.weight
        self.row = nn.Conv1d(6, 6, 3, padding=1)
        self.register_buffer("scale", torch.tensor([2.0]), persistent=False)

    def forward(self, x):
        x = self.norm(self.stem(x)) * self.scale
        x = self.up(self.deep(self.deep(x)))
        row = self.row(x.flatten(2)).mean(2)
        with torch.no_grad():
            fixed = torch.ones(1, 6)
        weights = functional.linear(fixed, self.head.weight)
        return self.head(row) + self.tied(row) + weights


def saved(tmp_path, model, inputs, **options):
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(model.eval(), inputs, **options), path)
    return path


def test_an_exported_network_computes_and_lists_the_same(tmp_path):
    torch.manual_seed(0)
    model, images = Varied(), torch.randn(2, 3, 8, 8)
    found, inputs = exported_model(saved(tmp_path, model, (images,)))
    assert [one.shape for one in inputs] == [images.shape]
    assert torch.equal(found(images), model(images))
    ours, theirs = survey(found, inputs), survey(model, images)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert ours.layers == theirs.layers
    assert (ours.macs, len(ours.omitted)) == (theirs.macs, len(theirs.omitted))


def test_a_network_of_torchvision_has_the_same_layers(tmp_path):
    model, images = torchvision().models.get_model("shufflenet_v2_x0_5"), torch.zeros(2, 3, 64, 64)
    named = named_model(str(saved(tmp_path, model, (images,))), values=False)
    assert named.name == "net"
    assert named.inputs[0].is_meta
    ours, theirs = survey(named.model, named.inputs), survey(model, images)
    assert ours.layers == theirs.layers
    assert ours.macs == theirs.macs


def test_an_exported_network_is_trained_sparsely(tmp_path):
    torch.manual_seed(0)
    found, inputs = exported_model(saved(tmp_path, Varied(), (torch.randn(2, 3, 8, 8),)))
    golden.sparsify(found, method="swat", sparsity=0.5)
    with pytest.warns(SparsityWarning, match="without calling them, so dense: tied$"):
        found(*inputs).sum().backward()
    assert found.get_submodule("deep.0").weight.grad is not None


def test_open_axes_have_the_sizes_that_are_asked_for(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    batch, side = torch.export.Dim("batch", max=4096), torch.export.Dim("side", min=4, max=512)
    shapes = ({0: batch, 2: side, 3: side},)
    path = saved(tmp_path, model, (torch.zeros(3, 3, 8, 8),), dynamic_shapes=shapes)
    assert exported_model(path)[1][0].shape == (BATCH, 3, 8, 8)
    found, inputs = exported_model(path, batch=5, image_size=16)
    assert inputs[0].shape == (5, 3, 16, 16)
    assert survey(found, inputs).layers[0].shape.y_shape == (5, 4, 14, 14)


def test_what_a_program_is_not_for_is_named(tmp_path):
    path = saved(tmp_path, nn.Conv2d(3, 4, 3), (torch.zeros(3, 3, 8, 8),))
    assert exported_model(path, batch=3, image_size=8)[1][0].shape == (3, 3, 8, 8)
    for options, message in (
        ({"batch": 4}, r"with 3 along axis 0 of \w+, for which it was exported, not 4"),
        ({"image_size": 9}, r"with 8 along axis 2 of \w+"),
    ):
        with pytest.raises(InputError, match=message):
            exported_model(path, **options)
    path.write_text("nothing")
    with pytest.raises(InputError, match=r"net\.pt2 must be one that torch can load"):
        exported_model(path)
    with pytest.raises(InputError, match=r"absent\.pt2 must be a readable file"):
        exported_model(tmp_path / "absent.pt2")


@pytest.mark.filterwarnings("ignore")
def test_changed_files_are_read_or_refused_in_a_sentence(tmp_path):
    path = saved(tmp_path, nn.Conv2d(3, 4, 3), (torch.zeros(1, 3, 8, 8),))
    good, rng = path.read_bytes(), random.Random(0)
    for _ in range(40):
        changed = bytearray(good)
        for _ in range(rng.randrange(3)):
            changed[rng.randrange(len(good))] = rng.randrange(256)
        path.write_bytes(changed[: rng.choice((len(good), rng.randrange(len(good))))])
        try:
            exported_model(path)
        except InputError as error:
            message = str(error)
        else:
            continue
        assert "\n" not in message
