"""Weights used past their layers, attention's first: the methods reach them, as if called."""

from __future__ import annotations

import copy
import io
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from gscn import golden
from gscn.golden.methods.by_weight import may_use_weights
from gscn.golden.methods.layers import ByWeight, TrainingLayer, attached_to
from gscn.golden.methods.passes import PassRecord

WIDTH = 8


class Windows(nn.Module):
    """Attention by weights of layers, as of shifted windows: in a method and a function."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.projection = nn.Linear(WIDTH, WIDTH, bias=False)
        self.mix = nn.Conv1d(5, 5, 1)

    def forward(self, x):
        return self.attend(functional.conv1d(x, self.mix.weight, self.mix.bias))

    def attend(self, x):
        return attend(x, self.qkv.weight, self.projection.weight, self.qkv.bias)


def attend(x, qkv, projection, bias):
    q, k, v = functional.linear(x, qkv, bias).chunk(3, -1)
    return functional.linear(functional.scaled_dot_product_attention(q, k, v), projection)


class Itself(nn.Module):
    """A sequence that attends to itself, in one of torch's ways."""

    def __init__(self, *, need_weights=True, mask=False, **options):
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2, **options)
        self.need_weights, self.mask = need_weights, mask

    def forward(self, x):
        length = x.shape[1 if self.attention.batch_first else 0]
        mask = nn.Transformer.generate_square_subsequent_mask(length) if self.mask else None
        found, weights = self.attention(
            x, x, x, need_weights=self.need_weights, attn_mask=mask, average_attn_weights=False
        )
        return found if weights is None else found + weights.mean()


MODELS = {
    "batch-first": lambda: Itself(batch_first=True),
    "tokens-first": lambda: Itself(need_weights=False),
    "masked": lambda: Itself(batch_first=True, need_weights=False, mask=True),
    "bare": lambda: Itself(batch_first=True, bias=False, add_bias_kv=True, add_zero_attn=True),
    "encoder": lambda: nn.TransformerEncoderLayer(WIDTH, 2, 16, dropout=0.0, batch_first=True),
    "windows": Windows,
}
TOKENS = torch.randn(4, 5, WIDTH, generator=torch.Generator().manual_seed(1)).double()


def gradients(model, inputs=TOKENS):
    inputs = inputs.clone().requires_grad_()
    outputs = model(inputs)
    model.zero_grad()
    outputs.square().sum().backward()
    return [outputs.detach(), inputs.grad, *(one.grad for one in model.parameters())]


@pytest.mark.parametrize("name", MODELS)
def test_nothing_changes_without_sparsity(name):
    torch.manual_seed(0)
    model = MODELS[name]().double()
    right = gradients(model)
    sparse = golden.sparsify(copy.deepcopy(model), "dense")
    found = gradients(sparse)
    for one, other in zip(found, right, strict=True):
        torch.testing.assert_close(one, other)
    layers = [one for one in sparse.modules() if isinstance(one, TrainingLayer)]
    assert [attached_to(one).calls for one in layers] == [1] * len(layers)
    restored = golden.unsparsify(sparse)
    assert [type(one) for one in restored.modules()] == [type(one) for one in model.modules()]
    for one, other in zip(gradients(restored), right, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", ["swat", "resprop", "swat+resprop", "dst"])
def test_methods_reach_every_projection(name, method):
    torch.manual_seed(0)
    options = {"first_layer": "sparse"}
    if method != "dst":
        options["sparsity"] = 0.75
    if "resprop" in method:
        options["linear_layers"] = "sparse"
    model = golden.sparsify(MODELS[name]().double(), method, **options)
    if method == "dst":
        for one in model.modules():
            if isinstance(one, TrainingLayer):
                attached_to(one).weight_mask.threshold.data.fill_(0.1)
    for iteration in range(3):
        golden.begin_iteration(model, epoch=1, iteration=1 + iteration, iterations_per_epoch=9)
        gradients(model)
    report = golden.sparsity_report(model)
    assert len(report) == {"encoder": 4, "windows": 3}.get(name, 2)
    for layer in report.values():
        if "swat" in method:
            assert layer.weights == pytest.approx(0.25, abs=1 / layer.weight_count)
            # A neuron without weights is its bias for all tokens: ties, which are kept.
            assert 0.25 <= layer.activations <= 0.25 + 20 / 320
        elif method == "dst":
            assert 0 < layer.weights < 1
    if "resprop" in method:
        shape = (5, 3 * WIDTH) if name == "windows" else None
        reused = [
            attached_to(one).gradient_sparsifier.reused_grad
            for one in model.modules()
            if isinstance(one, TrainingLayer)
        ]
        # Of one sample: all its tokens, whatever is in front.
        tokens = 4 if name == "tokens-first" else 5
        assert {one.shape[0] for one in reused} == {tokens}
        assert shape is None or reused[0].shape == shape


@pytest.mark.parametrize("name", MODELS)
def test_evaluation_uses_the_same_weights_with_and_without_gradients(name):
    torch.manual_seed(0)
    model = golden.sparsify(MODELS[name]().double(), "swat", first_layer="sparse").eval()
    expected = model(TOKENS)
    with torch.no_grad():
        torch.testing.assert_close(model(TOKENS), expected)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert torch.equal(loaded(TOKENS), expected)
    again = golden.sparsify(MODELS[name]().double(), "swat", first_layer="sparse").eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(TOKENS), expected)
    baked = golden.unsparsify(model, bake=True)
    with torch.no_grad():
        torch.testing.assert_close(baked(TOKENS), expected)


def test_attention_to_another_sequence_is_dense_and_named():
    class Cross(nn.Module):
        def __init__(self):
            super().__init__()
            self.itself = nn.MultiheadAttention(WIDTH, 2)
            self.other = nn.MultiheadAttention(WIDTH, 2)
            self.wide = nn.MultiheadAttention(WIDTH, 2, kdim=4, vdim=4)

        def forward(self, x):
            x = self.itself(x, x, x)[0]
            x = self.other(x, x * 2, x * 2)[0]
            return self.wide(x, x[..., :4], x[..., :4])[0]

    with pytest.warns(golden.SparsityWarning, match=r"stay dense: wide \(MultiheadAttention, 18"):
        model = golden.sparsify(Cross(), "swat", first_layer="sparse")
    with pytest.warns(golden.SparsityWarning, match="without calling them, so dense: other$"):
        model(TOKENS.float()).sum().backward()
    report = golden.sparsity_report(model)
    assert {name: one.weights is not None for name, one in report.items()} == {
        "itself": True, "itself.out_proj": True, "other": False, "other.out_proj": True,
        "wide.out_proj": True,
    }  # fmt: skip
    found = golden.coverage(model, TOKENS.float())
    macs = {"itself": 0, "other": 3 * 64, "wide": 64 + 2 * 32}
    for name, count in macs.items():
        # Tokens attend to as many as there are samples in front.
        (part,) = (one for one in found.dense if one.name == name)
        own = 20 * count + 2 * 5 * 4 * 4 * WIDTH
        assert part.mac_share == pytest.approx(own / found.mac_count)


def test_observers_see_the_passes_of_projections():
    model = golden.sparsify(MODELS["batch-first"](), "dense")
    records: list[PassRecord] = []
    attached_to(model.attention).observer = records.append
    gradients(model, TOKENS.float())
    assert [one.which for one in records] == ["forward", "input-grad", "weight-grad"]
    assert records[0].first.shape == model.attention.in_proj_weight.shape
    assert records[0].second.shape == TOKENS.shape


def test_compiled_models_attend_as_they_did():
    torch.compiler.reset()
    model = golden.sparsify(MODELS["encoder"](), "swat", first_layer="sparse")
    other = copy.deepcopy(model)
    run = torch.compile(other, backend="eager")
    for _ in range(2):
        one, two = model(TOKENS.float()), run(TOKENS.float())
        torch.testing.assert_close(one, two)
        one.sum().backward()
        two.sum().backward()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)
    torch.compiler.reset()


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("method", ["swat", "swat+resprop", "dst"])
def test_checkpointed_parts_are_trained_as_others(method, reentrant):
    torch.manual_seed(0)
    options = {"refresh_period": 2} if "swat" in method else {}
    plain = golden.sparsify(
        nn.Sequential(nn.Conv1d(5, 6, 3), nn.ReLU(), nn.Conv1d(6, 4, 3), nn.Conv1d(4, 2, 1)),
        method,
        **options,
    ).double()
    held = copy.deepcopy(plain)

    def run(model, inputs, *, again):
        hidden = model[0](inputs)
        if again:
            return model[3](checkpoint(model[1:3], hidden, use_reentrant=reentrant))
        return model[3](model[1:3](hidden))

    for seed in range(5):
        inputs = torch.randn(4, 5, WIDTH, generator=torch.Generator().manual_seed(seed)).double()
        for model in (plain, held):
            golden.begin_iteration(model, epoch=0, iteration=seed, iterations_per_epoch=9)
            model.zero_grad()
        outputs = [run(plain, inputs, again=False), run(held, inputs, again=True)]
        assert torch.equal(*outputs)
        for one in outputs:
            one.square().sum().backward()
        for one, other in zip(plain.parameters(), held.parameters(), strict=True):
            assert torch.equal(one.grad, other.grad)
            with torch.no_grad():
                one -= 0.1 * one.grad
                other -= 0.1 * other.grad


def test_only_forwards_that_read_a_weight_are_looked_into():
    class Helper(nn.Module):
        def forward(self, x):
            return self.first(x)

        def first(self, x):
            return [self.second(one) for one in x]

        def second(self, x):
            return (lambda: self.layer.weight)()

    class Innocent(nn.Module):
        def forward(self, x):
            return self.layer(x)

        def reset(self):
            self.layer.weight.data.zero_()

    kinds = [Helper, Windows, nn.MultiheadAttention, nn.TransformerEncoderLayer]
    assert [may_use_weights(kind) for kind in kinds] == [True] * 4
    assert not may_use_weights(Innocent)
    assert not may_use_weights(nn.Sequential)
    model = golden.sparsify(nn.Sequential(nn.Linear(5, 5), Windows()), "swat")
    assert [isinstance(one, ByWeight) for one in (model, model[1])] == [False, True]
    golden.unsparsify(model)
    assert type(model[1]) is Windows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        golden.sparsify(nn.Sequential(nn.Linear(5, 5), Windows()), "dense", exclude="1")
