"""Shapes of the networks against torch modules and known totals."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from gscn.errors import InputError
from gscn.perf.workload.networks import NETWORKS, network


class Block(nn.Module):
    """A residual block written from the paper, independently of `perf.workload.networks`."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool):
        super().__init__()
        outputs = width * 4 if bottleneck else width
        self.bottleneck = bottleneck
        if bottleneck:
            self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        else:
            self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.downsample = None
        if stride == 2 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False))

    def forward(self, x):
        y = self.conv2(self.conv1(x))
        if self.bottleneck:
            y = self.conv3(y)
        return y + (x if self.downsample is None else self.downsample(x))


class Resnet(nn.Module):
    def __init__(self, blocks, bottleneck):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        inputs = 64
        for index, count in enumerate(blocks):
            width = (64, 128, 256, 512)[index]
            stage = []
            for block in range(count):
                stage.append(Block(inputs, width, 2 if index and not block else 1, bottleneck))
                inputs = width * 4 if bottleneck else width
            setattr(self, f"layer{index + 1}", nn.Sequential(*stage))
        self.fc = nn.Linear(inputs, 1000)

    def forward(self, x):
        x = functional.max_pool2d(self.conv1(x), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class Vgg(nn.Module):
    def __init__(self):
        super().__init__()
        modules, inputs = [], 3
        for filters, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(count):
                modules += [nn.Conv2d(inputs, filters, 3, padding=1), nn.ReLU()]
                inputs = filters
            modules.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*modules)
        self.classifier = nn.Sequential(
            nn.Linear(25088, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 1000),
        )

    def forward(self, x):
        x = functional.adaptive_avg_pool2d(self.features(x), (7, 7))
        return self.classifier(x.flatten(1))


MODULES = {
    "resnet18": lambda: Resnet((2, 2, 2, 2), False),
    "resnet34": lambda: Resnet((3, 4, 6, 3), False),
    "resnet50": lambda: Resnet((3, 4, 6, 3), True),
    "vgg16": Vgg,
}


def layers_seen_by_torch(module, image_size, batch):
    """Return {name: (input shape, weight shape, output shape, stride, padding)} from hooks."""
    seen = {}

    def note(name, layer):
        def hook(_, inputs, output):
            shapes = (tuple(inputs[0].shape), tuple(layer.weight.shape), tuple(output.shape))
            if isinstance(layer, nn.Linear):
                shapes = tuple((*shape, 1, 1) for shape in shapes)
            seen[name] = (
                *shapes,
                getattr(layer, "stride", (1, 1)),
                getattr(layer, "padding", (0, 0)),
            )

        return hook

    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(note(name, layer))
    module(torch.empty(batch, 3, image_size, image_size, device="meta"))
    return seen


@pytest.mark.parametrize(("image_size", "batch"), [(224, 1), (224, 16), (32, 2), (97, 3)])
@pytest.mark.parametrize("name", MODULES)
def test_layers_are_those_that_torch_sees(name, image_size, batch):
    with torch.device("meta"):
        module = MODULES[name]()
    ours = {
        layer.name: (
            layer.shape.x_shape,
            layer.shape.w_shape,
            layer.shape.y_shape,
            layer.shape.stride,
            layer.shape.padding,
        )
        for layer in network(name, image_size=image_size, batch=batch).layers
    }
    assert ours == layers_seen_by_torch(module, image_size, batch)


@pytest.mark.parametrize(
    ("name", "gmacs"), [("resnet18", 1.814), ("resnet34", 3.664), ("resnet50", 4.089)]
)
def test_totals_at_224_pixels_are_the_published_ones(name, gmacs):
    assert network(name, image_size=224, batch=1).dense_macs / 1e9 == pytest.approx(gmacs, abs=5e-4)


def test_first_convolution_of_resnet50_takes_118_million_products():
    first = network("resnet50", image_size=224, batch=1).layers[0]
    assert first.shape.dense_macs == 112 * 112 * 64 * 3 * 7 * 7 == 118_013_952


@pytest.mark.parametrize("name", NETWORKS)
def test_only_the_first_layer_is_first_and_linear_layers_are_marked(name):
    layers = network(name, image_size=64, batch=1).layers
    assert [layer.first for layer in layers] == [True] + [False] * (len(layers) - 1)
    assert [layer.linear for layer in layers] == [
        layer.name.startswith(("fc", "classifier")) for layer in layers
    ]


def test_all_bad_arguments_are_named_at_once():
    with pytest.raises(InputError, match=r"name .*'alexnet'.*image size .*8.*batch .*0"):
        network("alexnet", image_size=8, batch=0)
