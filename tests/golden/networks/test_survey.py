"""What a network computes is in a layer or is named, against torch's own counter of FLOPs."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gscn.errors import InputError
from gscn.golden.networks.catalogue import make_network, weighted_layers
from gscn.golden.networks.survey import survey
from gscn.golden.omitted import Omitted, covered_share
from gscn.perf.workload.layers import network_of
from gscn.perf.workload.networks import network as layer_table


class ByWeight(nn.Module):
    """Computes with a layer's weight without calling the layer."""

    def __init__(self):
        super().__init__()
        self.called, self.bypassed = nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x):
        return functional.linear(self.called(x), self.bypassed.weight, self.bypassed.bias)


class ByPart(nn.Module):
    """Computes with half of a layer's weight."""

    def __init__(self):
        super().__init__()
        self.whole = nn.Linear(6, 6)

    def forward(self, x):
        return functional.linear(x, self.whole.weight[:3])


class Repeated(nn.Module):
    """Calls a layer three times, on maps of two sizes."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 5, 1)

    def forward(self, x):
        return self.head(self.conv(functional.max_pool2d(self.conv(self.conv(x)), 2)))


class Tied(nn.Module):
    """An embedding whose table is the weight of two layers."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 6)
        self.one, self.other = nn.Linear(6, 10), nn.Linear(6, 10)
        self.one.weight = self.other.weight = self.embedding.weight

    def forward(self, x):
        vectors = self.embedding(x)
        return self.one(vectors) + self.other(vectors)


class Products(nn.Module):
    """Matrix products and a convolution without layers."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(2, 3, 3, 3))

    def forward(self, x):
        y = functional.conv2d(x, self.kernel).flatten(1)
        return torch.einsum("ni,mi->nm", y, y) @ y


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


class Fused(nn.Module):
    def forward(self, x):
        return functional.scaled_dot_product_attention(x, x, x)


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.auxiliary = nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, x):
        return self.used(x), self.auxiliary(x) if self.training else None


class HalfOfTwo(nn.Linear):
    """A linear layer that computes something of its own besides."""

    def forward(self, x):
        return super().forward(x) + x @ self.weight.T


IMAGES = (2, 3, 8, 9)
CASES = {
    # network, inputs, MACs of the layers, MACs and words of what is in none
    "conv1d": (lambda: nn.Conv1d(3, 5, 4, stride=2, padding=1), (2, 3, 9), 2 * 4 * 5 * 3 * 4, []),
    "conv1d-alone": (lambda: nn.Conv1d(3, 5, 4), (3, 9), 6 * 5 * 3 * 4, []),
    "conv2d-same": (
        lambda: nn.Conv2d(3, 5, (2, 3), padding="same"),
        IMAGES,
        2 * 72 * 5 * 18,
        [],
    ),
    "conv2d-reflected": (
        lambda: nn.Conv2d(3, 5, 3, padding=1, padding_mode="reflect"),
        IMAGES,
        2 * 72 * 5 * 27,
        [],
    ),
    "conv3d": (
        lambda: nn.Conv3d(3, 5, 2),
        (2, 3, 4, 5, 6),
        0,
        [(2 * 3 * 4 * 5 * 5 * 24, "Conv3d (Conv3d)")],
    ),
    "transposed": (
        lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1, groups=2),
        (2, 4, 8, 9),
        2 * 72 * 4 * 27,
        [],
    ),
    "transposed-1d": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 1), nn.ConvTranspose1d(4, 5, 3, stride=2)),
        (2, 3, 7),
        2 * 7 * 12 + 2 * 7 * 60,
        [],
    ),
    "grouped": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 3, groups=2)),
        IMAGES,
        2 * 72 * 12 + 2 * 42 * 8 * 18,
        [],
    ),
    "depthwise": (lambda: nn.Conv2d(3, 6, 3, groups=3), IMAGES, 2 * 42 * 6 * 9, []),
    "linear-vectors": (lambda: nn.Linear(6, 4), (2, 5, 6), 2 * 5 * 24, []),
    "linear-alone": (lambda: nn.Linear(6, 4), (6,), 24, []),
    "by-weight": (
        ByWeight,
        (2, 6),
        2 * 36 + 2 * 24,
        [],
    ),
    "by-part": (
        ByPart,
        (2, 6),
        0,
        [(2 * 18, "ByPart (parts of the weights of whole)")],
    ),
    "repeated": (Repeated, IMAGES, 2 * (72 + 72 + 16) * 81 + 2 * 16 * 15, []),
    "tied": (Tied, torch.zeros(2, 7, dtype=torch.int64), 2 * 2 * 7 * 60, []),
    "products": (
        Products,
        IMAGES,
        0,
        [
            (2 * 42 * 54, "Products (convolution in Products)"),
            (2 * 2 * 84, "Products (bmm in Products)"),
            (2 * 2 * 84, "Products (mm in Products)"),
        ],
    ),
    "attention": (
        Attention,
        (2, 5, 8),
        2 * 5 * 8 * 24 + 2 * 5 * 64,
        [(2 * 2 * 5 * 5 * 8, "attention (bmm in MultiheadAttention)")],
    ),
    "encoder": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        (2, 5, 8),
        2 * 2 * 5 * 128 + 2 * 5 * 8 * 24 + 2 * 5 * 64,
        [(2 * 2 * 5 * 5 * 8, "self_attn (bmm in MultiheadAttention)")],
    ),
    "own-product": (lambda: HalfOfTwo(4, 3), (2, 4), 2 * 2 * 12, []),
    "unused": (
        Unused,
        (2, 4),
        24,
        [(0, "auxiliary (Linear that evaluation does not use)")],
    ),
}
"""Counted by torch as well."""
BY_HAND = {
    "fused-attention": (Fused, (2, 3, 5, 8), 0, [(2 * 6 * 25 * 8, "Fused (bmm in Fused)")]),
    "lstm": (
        lambda: nn.LSTM(5, 7, batch_first=True),
        (2, 3, 5),
        0,
        [(3 * 2 * 4 * 7 * (5 + 7), "LSTM")],
    ),
    "bilinear": (
        lambda: nn.Bilinear(3, 4, 5),
        (torch.zeros(2, 3), torch.zeros(2, 4)),
        0,
        [(2 * 60, "Bilinear (_trilinear in Bilinear)")],
    ),
}


@pytest.fixture(params=[True, False], ids=["training", "evaluating"])
def training(request):
    return request.param


@pytest.mark.parametrize("case", [*CASES, *BY_HAND])
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_every_product_is_in_a_layer_or_named(case, training):
    make, inputs, in_layers, others = (CASES | BY_HAND)[case]
    network = make().train(training)
    found = survey(network, inputs)
    assert network.training == training
    assert sum(layer.shape.dense_macs for layer in found.layers) == in_layers
    if case != "lstm":
        assert sorted((one.macs, str(one).rsplit(":", 1)[0]) for one in found.omitted) == sorted(
            others
        )
    if case == "lstm":
        assert sum(one.macs for one in found.omitted) == others[0][0]
        assert {one.name for one in found.omitted} == {"LSTM"}
    assert found.macs == in_layers + sum(one.macs for one in found.omitted)
    for one in found.omitted:
        assert one.share == pytest.approx(one.macs / found.macs)
    assert covered_share(found.omitted) == pytest.approx(in_layers / found.macs)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_the_total_is_what_torch_counts(case):
    make, inputs, *_ = CASES[case]
    network = make().eval()
    tensor = inputs if isinstance(inputs, torch.Tensor) else torch.zeros(inputs)
    # With gradients, so that no fast path hides products from the counter.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(tensor)
    assert survey(network, inputs).macs == counter.get_total_flops() / 2


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_networks_of_the_catalogue_have_nothing_but_layers(name):
    with torch.device("meta"):
        network = make_network(name, image_size=64, classes=10)
    found = survey(network, (2, 3, 64, 64))
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(2, 3, 64, 64, device="meta"))
    assert found.omitted == ()
    assert found.macs == counter.get_total_flops() / 2
    assert network_of(name, found).covered_share == 1


@pytest.mark.parametrize(
    ("name", "table", "size"),
    [
        *((name, name, 224) for name in ("resnet50", "vgg16", "densenet121", "wrn50-2")),
        *((name, name, 32) for name in ("resnet20", "wrn16-8")),
        *((name, f"{name}-small", 32) for name in ("resnet18", "vgg16", "densenet121")),
    ],
)
def test_modules_say_what_the_tables_say_of_normalisation_and_images(name, table, size):
    with torch.device("meta"):
        network = make_network(name, image_size=size, classes=10)
    ours = network_of(name, survey(network, (2, 3, size, size))).layers
    theirs = layer_table(table, image_size=size, batch=2).layers
    assert [(one.has_normalisation, one.reads_image, one.shares) for one in ours] == [
        (one.has_normalisation, one.reads_image, None) for one in theirs
    ]
    assert any(one.has_normalisation for one in theirs) == (table != "vgg16")


def test_a_layer_is_listed_for_each_call_with_its_weights_once():
    found = survey(Repeated(), IMAGES)
    assert [(layer.name, layer.shares, layer.shape.h) for layer in found.layers] == [
        ("conv", None, 8),
        ("conv#2", "conv", 8),
        ("conv#3", "conv", 4),
        ("head", None, 4),
    ]
    assert [layer.input_grad for layer in found.layers] == [False, True, True, True]
    net = network_of("repeated", found)
    # The weights of the first layer stay dense in all calls.
    assert [layer.first for layer in net.layers] == [True, True, True, False]
    assert [layer.reads_image for layer in net.layers] == [True, False, False, False]
    tied = survey(Tied(), torch.zeros(2, 7, dtype=torch.int64)).layers
    assert [(layer.name, layer.shares, layer.input_grad) for layer in tied] == [
        ("one", None, True),
        ("other", "one", True),
    ]


def test_normalisation_is_found_before_and_after_a_layer():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.ReLU(inplace=True),
        nn.GroupNorm(2, 4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 1),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 1),
        nn.Flatten(),
        nn.LazyLinear(3),
        nn.LayerNorm(3),
        nn.Linear(3, 2),
        nn.Linear(2, 2),
    )
    network(torch.zeros(IMAGES))
    layers = survey(network, IMAGES).layers
    assert {layer.name: layer.normalised for layer in layers} == {
        "0": True, "4": True, "5": False, "7": False, "9": True, "11": True, "12": False
    }  # fmt: skip


def test_two_layers_may_read_the_image():
    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)
            self.gain = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return self.left(x / 2) + self.right(torch.cat([x, x])[:2]) + self.left(x * self.gain)

    layers = survey(Siamese(), IMAGES).layers
    assert {layer.name: layer.input_grad for layer in layers} == {
        "left": False,
        "left#2": True,
        "right": False,
    }


def test_operators_without_a_formula_are_named_without_a_share():
    @torch.library.custom_op("gscn_tests::product", mutates_args=())
    def product(x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.numpy() @ x.numpy().T)

    class Custom(nn.Module):
        def forward(self, x):
            return product(x)

    found = survey(nn.Sequential(nn.Linear(4, 4), Custom()), (2, 4))
    assert found.omitted == (Omitted(name="1", kind="product in Custom", macs=None, share=None),)
    assert str(found.omitted[0]) == "1 (product in Custom): unknown share"


def test_weighted_layers_name_what_they_leave_out(caplog):
    with caplog.at_level(logging.WARNING):
        layers = weighted_layers(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8))
    assert [layer.name for layer in layers] == [
        "self_attn", "self_attn.out_proj", "linear1", "linear2"
    ]  # fmt: skip
    # 800 of 1920 + 800 + 640 + 2560.
    assert "13.51 % of the multiply-accumulates" in caplog.text
    assert "self_attn (bmm in MultiheadAttention): 13.51 %" in caplog.text
    caplog.clear()
    weighted_layers(nn.Linear(4, 4), (2, 4))
    assert caplog.text == ""


def test_settings_of_torch_are_put_back():
    before = (
        torch.backends.mha.get_fastpath_enabled(),
        torch.backends.mkldnn.enabled,
        torch.backends.cudnn.enabled,
    )
    with pytest.raises(RuntimeError):
        survey(nn.Linear(4, 4), (2, 5))
    assert before == (
        torch.backends.mha.get_fastpath_enabled(),
        torch.backends.mkldnn.enabled,
        torch.backends.cudnn.enabled,
    )
    layer = nn.Linear(4, 4)
    survey(layer, (2, 4))
    assert not layer._forward_hooks
    assert not layer._forward_pre_hooks


def test_modules_that_cannot_be_followed_are_refused_by_name():
    with pytest.raises(InputError, match="layer 1 must have its weights, not wait for the first"):
        survey(nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), (2, 4))
    with pytest.warns(DeprecationWarning, match="jit"):
        scripted = torch.jit.script(nn.Linear(4, 2))
    with pytest.raises(InputError, match="not TorchScript"):
        survey(scripted, (2, 4))
