"""Weights that a method does not reach: warned of by name, reported with their share, not baked."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from gscn import golden
from gscn.errors import InputError


class Attention(nn.Module):
    """Computes with the weights of its layers, by other functions than torch's for them."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.projection = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (x @ self.qkv.weight.T + self.qkv.bias).chunk(3, -1)
        attended = (query @ key.transpose(-1, -2)).softmax(-1) @ value
        return attended @ self.projection.weight.T + self.projection.bias


class Output:
    """What torch does not know how to look into."""

    def __init__(self, scores: torch.Tensor) -> None:
        self.scores = [scores]


class Windows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 8)
        self.attention = Attention()
        self.hidden = nn.Linear(8, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> Output:
        return Output(self.head(self.hidden(self.attention(self.embed(x))).relu()))


def scores(model: nn.Module, seed: int = 0) -> torch.Tensor:
    return model(torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(seed))).scores[0]


@pytest.mark.parametrize("method", ["swat", "dst", "resprop", "swat+resprop"])
def test_layers_that_are_bypassed_are_named_and_never_baked(method):
    options = {"linear_layers": "sparse"} if "resprop" in method else {}
    model = golden.sparsify(Windows(), method, **options)
    message = "uses the weights of layers without calling them, so dense: attention.qkv, attention"
    with pytest.warns(golden.SparsityWarning, match=message):
        scores(model).sum().backward()
    for seed in range(6):
        scores(model, seed).sum().backward()  # Said once, and warnings are errors here.
    expected = scores(model.eval())
    weights = copy.deepcopy(model.attention.state_dict())
    if method == "resprop":
        baked = golden.unsparsify(model, bake=True)
    else:
        with pytest.warns(golden.SparsityWarning, match=r"dense: attention\.qkv, attention\.proj"):
            baked = golden.unsparsify(model, bake=True)
    torch.testing.assert_close(scores(baked), expected)
    for name, value in baked.attention.state_dict().items():
        assert torch.equal(value, weights[name])
    if method.startswith("swat"):
        assert torch.count_nonzero(baked.hidden.weight) == 26  # ceil(0.2 * 128)


def test_layers_that_are_bypassed_without_gradients_are_named_too():
    message = r"were not called .* dense: attention\.qkv, attention\.projection"
    model = golden.sparsify(Windows().eval(), "swat")
    with torch.no_grad(), pytest.warns(golden.SparsityWarning, match=message):
        scores(model)
    model = golden.sparsify(Windows().requires_grad_(False), "swat")
    with pytest.warns(golden.SparsityWarning, match=message):
        scores(model)


def test_models_that_call_their_layers_are_not_warned_of():
    model = golden.sparsify(
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2)), "swat"
    )
    for _ in range(5):
        model(torch.randn(2, 2, 4, 4)).sum().backward()
    with torch.no_grad():
        model(torch.randn(2, 2, 4, 4))
    model.eval()(torch.randn(2, 2, 4, 4))
    assert model._forward_hooks
    assert not golden.unsparsify(model)._forward_hooks


class Tied(nn.Module):
    """The embedding's weight is also the head's."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(12, 6)
        self.hidden = nn.Linear(6, 6)
        self.head = nn.Linear(6, 12, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.hidden(self.words(tokens)))


class Decoder(nn.Module):
    """The second product uses the first layer's weight, transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(8, 4)
        self.middle = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(self.middle(self.encode(x)), self.encode.weight.t())


def test_weights_used_elsewhere_are_named_and_not_baked():
    model = golden.sparsify(Tied(), "swat", first_layer="sparse")
    with pytest.warns(golden.SparsityWarning, match="also without calling them, so dense: head"):
        model(torch.arange(6)).sum().backward()
    with pytest.raises(InputError, match="layer head: weight must be used by the layer alone"):
        golden.unsparsify(model, bake=True)
    # The names of a module's parameters tell without a forward pass of the model.
    model = golden.sparsify(Tied().eval(), "swat", first_layer="sparse")
    with torch.no_grad():
        model(torch.arange(6))
    with pytest.raises(InputError, match="layer head: weight must not be that of module words as"):
        golden.unsparsify(model, bake=True)
    model = golden.sparsify(Decoder(), "dst")
    with pytest.warns(golden.SparsityWarning, match="also without calling them, so dense: encode"):
        model(torch.ones(3, 8)).sum().backward()
    weights = model.encode.weight.clone()
    with pytest.raises(InputError, match="layer encode: weight must be used by the layer alone"):
        golden.unsparsify(model, bake=True)
    assert torch.equal(golden.unsparsify(model).encode.weight, weights)


def test_layers_that_share_a_weight_are_baked_if_they_agree():
    def pair() -> nn.Sequential:
        layers = [nn.Linear(6, 6) for _ in range(3)]
        layers[1].weight = layers[0].weight
        return nn.Sequential(*layers)

    model = golden.sparsify(pair(), "swat", first_layer="sparse")
    x = torch.randn(4, 6)
    model(x).sum().backward()
    expected = model.eval()(x)
    torch.testing.assert_close(golden.unsparsify(model, bake=True)(x), expected)
    model = golden.sparsify(pair(), "dst")
    model(x).sum().backward()
    with torch.no_grad():
        model[0].gscn.weight_mask.threshold.fill_(0.1)
    with pytest.raises(InputError, match="layer 0: weight must not be that of module 1 as well"):
        golden.unsparsify(model, bake=True)


def test_a_model_that_has_not_run_is_not_baked_but_a_trained_state_is():
    model = golden.sparsify(nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6)), "swat")
    other = copy.deepcopy(model)
    with pytest.raises(InputError, match=r"layers 1 must have been called to be baked: .* run it"):
        golden.unsparsify(model, bake=True)
    for _ in range(3):
        model(torch.randn(4, 6)).sum().backward()
    other.load_state_dict(model.state_dict())
    expected = model.eval()(torch.ones(1, 6))
    torch.testing.assert_close(golden.unsparsify(other, bake=True)(torch.ones(1, 6)), expected)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 8)
        self.read = nn.LSTM(8, 6, batch_first=True)
        self.mix = nn.Parameter(torch.ones(6, 6))
        self.hidden = nn.Linear(6, 6)
        self.head = nn.Linear(6, 10)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        found = self.read(self.words(tokens))[0] @ self.mix
        return self.head(self.hidden(found).relu())


def test_weights_out_of_reach_are_named_with_their_share():
    counts = {"words": 80, "read": 4 * 6 * (8 + 6), "": 36, "hidden": 36, "head": 60}
    total = sum(counts.values())
    message = (
        r"82\.5 % of the weights are no convolution's or linear layer's and stay dense: "
        r"read \(LSTM, 61\.3 %\), words \(Embedding, 14\.6 %\), model \(Recurrent, 6\.6 %\)"
    )
    with pytest.warns(golden.SparsityWarning, match=message):
        model = golden.sparsify(Recurrent(), "swat")
    found = golden.coverage(model)
    assert {part.name: part.weight_count for part in found.dense} == {
        name: count for name, count in counts.items() if name != "head"
    }
    assert found.weight_count == total
    assert found.weight_share == pytest.approx(1 - 60 / total)
    assert found.mac_share is None

    tokens = torch.zeros(3, 7, dtype=torch.long)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = golden.coverage(model, tokens)
    # A lookup multiplies nothing; every other weight is used once for each of 21 words.
    assert found.mac_count == 21 * (total - 80)
    shares = {part.name: part.mac_share for part in found.dense}
    assert shares == {
        name: pytest.approx(counts[name] / (total - 80) if name != "words" else 0)
        for name in ("words", "read", "", "hidden")
    }
    assert found.mac_share == pytest.approx(1 - 60 / (total - 80))
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert "read (LSTM): 61.3 % of the weights, 71.8 % of the MACs; is no conv" in str(found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        golden.sparsify(Windows(), "dst")


def test_coverage_names_layers_that_were_not_called():
    model = golden.sparsify(Windows(), "swat")
    assert {part.name for part in golden.coverage(model).dense} == {"embed"}
    with pytest.warns(golden.SparsityWarning):
        scores(model).sum().backward()
    parts = {part.name: part for part in golden.coverage(model, torch.ones(2, 5, 8)).dense}
    assert set(parts) == {"embed", "attention.qkv", "attention.projection", "attention"}
    assert parts["embed"].reason == "dense by the method's rules"
    assert parts["attention.qkv"].reason == "used by the model without calling the layer"
    # 10 rows through 24 x 8 and 8 x 8, and two products of 5 x 5 x 8 in each of 2 samples.
    every = 10 * (64 + 192 + 64 + 128 + 64) + 2 * 2 * 200
    assert parts["attention"].mac_share == pytest.approx((10 * 256 + 800) / every)
    with pytest.raises(InputError, match="must have been sparsified"):
        golden.coverage(Windows())
