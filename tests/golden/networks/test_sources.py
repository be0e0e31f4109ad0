"""Networks from the text that names them: libraries', and a user's own."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from gscn.errors import InputError
from gscn.golden.networks import BATCH, IMAGE_SIZE
from gscn.golden.networks.sources import is_source, named_model
from gscn.golden.networks.survey import survey

OWN = """
import torch
from torch import nn

one = nn.Sequential(nn.Conv2d(1, 2, 3))
calls = []


def plain():
    return nn.Sequential(nn.Conv2d(5, 2, 3), nn.ReLU())


def dense():
    return nn.Linear(7, 2)


def siamese():
    return nn.Bilinear(3, 4, 2), (torch.zeros(6, 3), torch.zeros(6, 4))


def single():
    return nn.Conv1d(3, 4, 3), torch.zeros(2, 3, 9)


def recurrent():
    return nn.LSTM(3, 4)


def sequence():
    return nn.Embedding(3, 4)


def tested():
    made = nn.Conv2d(3, 2, 3)
    calls.append(made.weight.mean().item())
    return made


class Sized(nn.Module):
    def __init__(self):
        super().__init__()
        size = int(torch.tensor(3.0))
        self.first, self.second = nn.Linear(size, size), nn.Linear(size, size)
        self.first.bias = nn.Parameter(torch.ones(size))
        self.second.bias = self.bias = self.first.bias
        self.second.weight = self.first.weight
        self.kept = torch.ones(size)


def sized():
    made = Sized()
    calls.extend(one.device.type for one in (*made.parameters(), made.kept))
    return made


def failing():
    raise KeyError("no such thing\\nmore of it")


def wrong():
    return 3


class inner:
    net = plain
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "mine_of_sources.py").write_text(OWN)
    (tmp_path / "broken_of_sources.py").write_text("import nothing_of_that_name")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield "mine_of_sources"
    assert sys.path == path
    sys.modules.pop("mine_of_sources", None)


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        ("torchvision:resnet18", (3, 224, 224)),
        ("torchvision:inception_v3", (3, 299, 299)),
        ("torchvision:fcn_resnet50", (3, 224, 224)),
        ("torchvision:r3d_18", (3, 16, 112, 112)),
        # Made for this size; the first weights that are published for it are for 518 pixels.
        ("torchvision:vit_h_14", (3, 224, 224)),
        ("timm:test_resnet", (3, 160, 160)),
        ("timm:resnet18.a1_in1k", (3, 224, 224)),
    ],
)
@pytest.mark.filterwarnings("ignore:The default weight initialization")
def test_networks_of_libraries_have_images_of_their_size(spec, shape):
    named = named_model(spec, batch=2, values=False)
    assert [one.shape for one in named.inputs] == [(2, *shape)]
    assert all(one.is_meta for one in (*named.model.parameters(), *named.model.buffers()))
    assert named.name == spec.partition(":")[2]


@pytest.mark.parametrize(
    "spec", ["torchvision:vit_b_32", "timm:vit_tiny_patch16_224", "timm:resnet18"]
)
def test_networks_are_made_for_the_size_that_is_asked_for(spec):
    named = named_model(spec, batch=1, image_size=96, values=False)
    assert named.inputs[0].shape == (1, 3, 96, 96)
    assert survey(named.model, named.inputs).layers


def test_a_network_that_cannot_be_made_without_values_loses_them(own):
    named = named_model("torchvision:regnet_y_400mf", batch=1, image_size=32, values=False)
    assert all(one.is_meta for one in (*named.model.parameters(), *named.inputs))
    assert named_model(f"{own}:tested", values=False).inputs[0].is_meta


def test_what_computes_its_own_sizes_is_made_with_parameters_without_values(own):
    model = named_model(f"{own}:sized", values=False).model
    assert model.first.weight is model.second.weight
    assert model.first.bias is model.second.bias is model.bias
    assert len(list(model.parameters())) == 2
    assert sys.modules[own].calls == ["meta", "meta", "cpu"]
    assert not named_model(f"{own}:sized").model.bias.is_meta


def test_with_values_a_network_runs():
    named = named_model("timm:test_resnet", batch=2, image_size=32)
    assert named.model.eval()(*named.inputs).shape == (2, 1000)


def test_a_users_network_is_found_from_the_current_folder(own):
    plain = named_model(f"{own}:plain", values=False)
    assert plain.inputs[0].shape == (BATCH, 5, IMAGE_SIZE, IMAGE_SIZE)
    assert plain.name == "plain"
    assert named_model(f"{own}:inner.net", batch=3, image_size=9).inputs[0].shape == (3, 5, 9, 9)
    assert named_model(f"{own}:dense").inputs[0].shape == (BATCH, 7)
    one, two = named_model(f"{own}:siamese").inputs
    assert (one.shape, two.shape) == ((6, 3), (6, 4))
    assert named_model(f"{own}:single", values=False).inputs[0].shape == (2, 3, 9)


def test_a_users_module_keeps_its_values(own):
    bare = named_model(f"{own}:one", batch=1, values=False).model
    assert next(bare.parameters()).is_meta
    kept = named_model(f"{own}:one", batch=1).model
    assert kept is sys.modules[own].one
    assert isinstance(kept, nn.Module)
    assert torch.isfinite(kept[0].weight).all()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("torchvision:resnet81", "torchvision has no model 'resnet81'; near to it are resnet18"),
        ("timm:rasnet18", "timm has no model 'rasnet18'; near to it are resnet18"),
        ("torchvision:fasterrcnn_resnet50_fpn", "must take a batch of images"),
        ("torchvision:", "must be torchvision:NAME, timm:NAME, package.module:NAME or FILE.pt2"),
        ("no dots:name", "must be torchvision:NAME"),
        ("OWN:absent", "must be in OWN, which has no absent"),
        ("OWN:plain.absent", "has no plain.absent"),
        ("absent_of_sources:net", "imported: ModuleNotFoundError: No module named 'absent_of"),
        ("broken_of_sources:net", "ModuleNotFoundError: No module named 'nothing_of_that"),
        ("OWN:failing", "must be made without an error: KeyError: 'no such thing\\nmore of it'"),
        ("OWN:wrong", "must be a torch.nn.Module, or one and its inputs, not 3"),
        ("OWN:recurrent", "must come with its inputs"),
        ("OWN:sequence", "must come with its inputs"),
        ("OWN:single", "must be asked for without a batch or an image size"),
    ],
)
def test_what_is_no_network_is_named(own, spec, message):
    with pytest.raises(InputError) as caught:
        named_model(spec.replace("OWN", own), batch=2)
    assert message.replace("OWN", own) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_of_networks_and_files_are_no_sources():
    for text in ("resnet50", "net.json", "a/b.py:net", "C:/net.json", "a..b:c", "a:b:c", ":a"):
        assert not is_source(text)
    assert is_source("package.module:Class.make")
    assert is_source("some/where/net.pt2")
    assert is_source("timm:resnet50.a1_in1k")
