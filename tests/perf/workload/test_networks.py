"""Shapes of the networks against torch modules and known totals."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from torch.nn import functional

from gscn.conv import Pass
from gscn.errors import InputError
from gscn.perf.workload.flops import (
    LayerDensities,
    Sparsification,
    erk_layer_densities,
    flop_reduction,
    passes,
    target_densities,
)
from gscn.perf.workload.networks import NETWORKS, network, read_network


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


def test_a_network_is_read_from_a_file(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(
        json.dumps(
            [
                {"name": "a", "c": 3, "h": 8, "w": 9, "k": 4, "r": 3, "s": 3, "padding": [1, 1]},
                {"name": "b", "c": 4, "h": 1, "w": 1, "k": 2, "r": 1, "s": 1, "linear": True},
            ]
        )
    )
    net = read_network(path, batch=5)
    assert net.name == "mine"
    assert [layer.name for layer in net.layers] == ["a", "b"]
    assert net.layers[0].shape.y_shape == (5, 4, 8, 9)
    assert [layer.first for layer in net.layers] == [True, False]
    assert [layer.linear for layer in net.layers] == [False, True]


LAYER = {"name": "a", "c": 3, "h": 8, "w": 8, "k": 4, "r": 3, "s": 3}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "must be readable JSON"),
        ("[]", "a list of 1 to 2000 layers"),
        ('["a"]', "layer 0: must be an object"),
        (json.dumps([{"name": "a"}]), "c is missing; h is missing"),
        (json.dumps([LAYER | {"chanels": 3}]), "unknown field 'chanels'"),
        (json.dumps([LAYER | {"c": "3"}]), "c must be a whole number, not '3'"),
        (json.dumps([LAYER | {"c": True}]), "c must be a whole number, not True"),
        (json.dumps([LAYER | {"stride": 2}]), "stride must be a pair of whole numbers, not 2"),
        (json.dumps([LAYER | {"stride": [0, 1]}]), "stride must be two numbers of at least 1"),
        (json.dumps([LAYER | {"r": 9}]), "must fit the padded input"),
        (json.dumps([LAYER | {"linear": True}]), "h, w, r and s of 1"),
        (json.dumps([LAYER, LAYER]), "names of layers must differ, not repeat a"),
    ],
)
def test_a_bad_network_file_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"bad\.json") as caught:
        read_network(path, batch=1)
    assert message in str(caught.value)


def test_a_missing_network_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"absent\.json must be a readable file"):
        read_network(tmp_path / "absent.json", batch=1)


CONV = {"name": "a", "c": 3, "h": 8, "w": 8, "k": 3, "r": 3, "s": 3, "padding": [1, 1]}
FC = {"name": "fc", "c": 192, "h": 1, "w": 1, "k": 10, "r": 1, "s": 1, "linear": True}


def read(tmp_path, *layers, name="vgg16.json"):
    path = tmp_path / name
    path.write_text(json.dumps(layers))
    return read_network(path, batch=2)


def test_a_file_says_what_is_normalised_whatever_it_is_called(tmp_path):
    layers = (CONV, CONV | {"name": "b", "normalised": False}, FC)
    for name in ("vgg16.json", "mine.json"):
        found = read(tmp_path, *layers, name=name).layers
        assert [layer.normalised for layer in found] == [None, False, None]
        assert [layer.has_normalisation for layer in found] == [True, False, False]
    (layer,) = read(tmp_path, FC | {"normalised": True}).layers
    assert layer.has_normalisation


def test_a_file_says_which_layers_share_weights_and_read_the_image(tmp_path):
    again = CONV | {"name": "again", "shares": "a"}
    side = CONV | {"name": "side", "input_grad": False}
    net = read(tmp_path, CONV, again, side, FC)
    assert [layer.shares for layer in net.layers] == [None, "a", None, None]
    assert [layer.first for layer in net.layers] == [True, True, False, False]
    assert [Pass.INPUT_GRAD in passes(layer) for layer in net.layers] == [False, True, False, True]
    assert (net.omitted, net.covered_share) == (None, None)
    # Weights are counted once by the budget, and the first layer's are dense in both calls.
    densities = erk_layer_densities(net, 0.5)
    assert densities["a"] == densities["again"]
    assert densities["a"] == erk_layer_densities(read(tmp_path, CONV, side, FC), 0.5)["a"]
    swat = Sparsification(method="swat", sparsity=0.9)
    assert [target_densities(layer, swat).weights for layer in net.layers] == pytest.approx(
        [1, 1, 0.1, 0.1]
    )
    # Densities that were measured for a layer are those of all its calls.
    only = flop_reduction(net, {"a": LayerDensities(weights=0.5)}, forward_only=True)
    conv, fc = 2 * 64 * 81, 2 * 1920
    assert only == pytest.approx(conv / (3 * conv + fc))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((CONV | {"normalised": 1},), "normalised must be true or false, not 1"),
        ((CONV | {"input_grad": "no"},), "input_grad must be true or false, not 'no'"),
        ((CONV | {"shares": 3},), "shares must be the name of a layer, not 3"),
        ((CONV | {"shares": "a"},), "shares of a must name a layer before it"),
        ((CONV, CONV | {"name": "b", "shares": "c"}), "shares of b must name a layer before it"),
        (
            (CONV, CONV | {"name": "b", "k": 4, "shares": "a"}),
            r"weights of b must be those of a, of shape \(3, 3, 3, 3\), not \(4, 3, 3, 3\)",
        ),
    ],
)
def test_bad_fields_of_a_file_are_named(layers, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read(tmp_path, *layers)


LAYER = {"name": "a", "c": 1, "h": 9, "w": 9, "k": 1, "r": 3, "s": 3}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (json.dumps([LAYER] * 2001), "a list of 1 to 2000 layers"),
        (json.dumps([{**LAYER, "name": f"{n % 1999}"} for n in range(2000)]), "not repeat 0$"),
        ("[" * 200_000, "nesting must be at most 64"),
        (json.dumps([{**LAYER, "c": 1 << 21}]), "c must be at most 1048576, not 2097152"),
        (json.dumps([{**LAYER, "c": True}]), "c must be a whole number, not True"),
        (json.dumps([LAYER])[:-2] + ', "c": 2}]', "not twice: 'c'"),
    ],
)
def test_a_network_file_beyond_bounds_is_refused_at_once(tmp_path, content, complaint):
    path = tmp_path / "network"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"network.*{complaint}") as caught:
        read_network(path, batch=1)
    assert len(str(caught.value)) < 1000
