"""Networks: parameters and products as published, and those of `perf.workload.networks`."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gscn import golden
from gscn.errors import InputError
from gscn.golden.networks.catalogue import make_network, network_graph, weighted_layers
from gscn.golden.networks.transformer import TransformerBlock
from gscn.golden.networks.wide import WideResNet
from gscn.golden.recipe import NETWORKS
from gscn.graph import Kind
from gscn.perf.workload.networks import network as layer_table

PUBLISHED_IMAGENET = {
    # name: parameters and GMAC of torchvision's models at 224 pixels, as its documentation states
    "resnet18": (11_689_512, 1.814),
    "resnet34": (21_797_672, 3.664),
    "resnet50": (25_557_032, 4.089),
    "wrn50-2": (68_883_240, 11.398),
    "vgg16": (138_357_544, 15.470),
    "densenet121": (7_978_856, 2.834),
}
PUBLISHED_SMALL = {
    # name: parameters in millions, 10 classes
    "resnet20": (0.27, 0.005),  # He et al., CVPR 2016, Table 6
    "wrn16-8": (11.0, 0.05),  # Zagoruyko and Komodakis, BMVC 2016, Table 4
    "wrn28-10": (36.5, 0.05),  # the same
}
COUNTED_SMALL = {
    # From the published networks for ImageNet: other stem and classifier, VGG with normalisation.
    "resnet18": 11_689_512 - 3 * 64 * (49 - 9) - 513 * (1000 - 10),
    "densenet121": 7_978_856 - 3 * 64 * (49 - 9) - 1025 * (1000 - 10),
    "vgg16": 138_357_544
    - (25_088 * 4096 + 4096)
    - (4096 * 4096 + 4096)
    - 4097 * 1000
    + 2 * 4224
    + 513 * 10,
}
TABLES = [
    *((name, name, 224, 1000) for name in PUBLISHED_IMAGENET),
    *((name, name, 32, 10) for name in PUBLISHED_SMALL),
    *((name, f"{name}-small", 32, 10) for name in COUNTED_SMALL),
]


def made(name: str, image_size: int, classes: int, **more) -> nn.Module:
    with torch.device("meta"):
        return make_network(name, image_size=image_size, classes=classes, **more)


def parameter_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", PUBLISHED_IMAGENET)
def test_networks_for_imagenet_have_the_published_sizes(name):
    network = made(name, 224, 1000)
    parameters, gmacs = PUBLISHED_IMAGENET[name]
    assert parameter_count(network) == parameters
    layers = weighted_layers(network, (1, 3, 224, 224))
    assert sum(layer.shape.dense_macs for layer in layers) / 1e9 == pytest.approx(gmacs, abs=6e-4)


@pytest.mark.parametrize("name", PUBLISHED_SMALL)
def test_networks_for_small_images_have_the_published_sizes(name):
    millions, margin = PUBLISHED_SMALL[name]
    assert parameter_count(made(name, 32, 10)) / 1e6 == pytest.approx(millions, abs=margin)


@pytest.mark.parametrize("name", COUNTED_SMALL)
def test_small_forms_differ_by_stem_and_classifier(name):
    assert parameter_count(made(name, 32, 10)) == COUNTED_SMALL[name]


def test_a_transformer_block_is_that_of_gpt2():
    with torch.device("meta"):
        block = TransformerBlock(768, 12, causal=True)
    # GPT-2 has 124,439,808: embeddings of 50257 tokens and 1024 places, 12 blocks, and a norm.
    assert 768 * (50_257 + 1024) + 12 * parameter_count(block) + 2 * 768 == 124_439_808
    layers = weighted_layers(block, (2, 16, 768))
    assert [layer.linear for layer in layers] == [True] * 6
    assert sum(layer.shape.dense_macs for layer in layers) == 2 * 16 * 12 * 768**2


def test_a_causal_block_sees_no_later_token_and_is_trained_sparsely():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        block = TransformerBlock(8, 2, causal=True)
        tokens = torch.randn(2, 5, 8)
    changed = tokens.clone()
    changed[:, 3:] += 1
    one, other = block(tokens), block(changed)
    assert torch.equal(one[:, :3], other[:, :3])
    assert not torch.equal(one[:, 3:], other[:, 3:])
    golden.sparsify(block, "swat", sparsity=0.75, first_layer="sparse")
    block(tokens).sum().backward()
    report = golden.sparsity_report(block)
    assert set(report) == {"query", "key", "value", "projection", "expand", "contract"}
    assert {layer.weights for layer in report.values()} == {0.25}


@pytest.mark.parametrize(("name", "table", "image_size", "classes"), TABLES)
def test_layer_tables_have_the_same_layers(name, table, image_size, classes):
    network = made(name, image_size, classes)
    ours = weighted_layers(network, (4, 3, image_size, image_size))
    theirs = layer_table(table, image_size=image_size, batch=4).layers
    assert [(layer.shape, layer.linear) for layer in ours] == [
        (layer.shape, layer.linear) for layer in theirs
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gives_scores_of_each_class(name):
    channels, size = (1, 8) if name == "digits" else (3, 32)
    network = made(name, size, 10, in_channels=channels)
    scores = network(torch.empty(2, channels, size, size, device="meta"))
    assert scores.shape == (2, 10)
    assert network.training


def test_stage_widths_follow_the_width():
    network = made("resnet50", 64, 5, width=8)
    shapes = [layer.shape for layer in weighted_layers(network, (1, 3, 64, 64))]
    assert (shapes[0].k, shapes[-2].k, shapes[-1].k) == (8, 8 * 8 * 4, 5)


def test_shortcuts_without_parameters_keep_every_second_pixel():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        block = make_network("resnet20", image_size=32, classes=10).stage2[0]
    images = torch.arange(2 * 16 * 4 * 4.0).reshape(2, 16, 4, 4)
    kept = block.shortcut(images)
    assert kept.shape == (2, 32, 2, 2)
    assert torch.equal(kept[:, 8:24], images[:, :, ::2, ::2])
    assert kept[:, :8].count_nonzero() == kept[:, 24:].count_nonzero() == 0


@pytest.mark.parametrize("name", ["resnet20", "wrn16-1"])
def test_networks_that_halve_twice_take_images_of_8_pixels(name):
    network = make_network(name, image_size=8, classes=10).eval()
    assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 10)


def test_wrong_networks_are_named():
    with pytest.raises(InputError, match=r"image_size must be at least 32, not 16; classes"):
        made("resnet18", 16, 0)
    with pytest.raises(InputError, match="digits must have 10 classes and images of 1 channel"):
        made("digits", 8, 3)
    with pytest.raises(InputError, match=r"network must be one of digits, .*, not 'alexnet'"):
        made("alexnet", 224, 10)
    with pytest.raises(InputError, match=r"depth must be 6n \+ 4"):
        WideResNet(18, 8)
    with pytest.raises(InputError, match="width must be a multiple of heads, not 10 of 3"):
        TransformerBlock(10, 3)


@pytest.mark.parametrize(("name", "size"), [("resnet18-small", 32), ("resnet50", 224)])
def test_graphs_have_the_layers_of_the_tables(name, size):
    graph = network_graph(name, image_size=size, batch=4)
    products = [one for one in graph.nodes if one.kind in (Kind.CONV, Kind.LINEAR)]
    layers = layer_table(name, image_size=size, batch=4).layers
    made = sorted(one.shape + (1, 1) * (one.kind is Kind.LINEAR) for one in products)
    assert made == sorted(layer.shape.y_shape for layer in layers)
    assert graph.nodes[0].shape == (4, 3, size, size)
