"""Conversion of models in place and back: what is kept, which layers take part, what is refused."""

from __future__ import annotations

import copy
import io
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from gscn import golden
from gscn.errors import InputError
from gscn.golden.methods.options import METHODS

OPTIONS = [
    ("dense", {}),
    ("swat", {"sparsity": 0.7}),
    ("swat", {"sparsity": 0.7, "budget": "momentum", "structure": "filter"}),
    ("swat", {"sparsity": 0.7, "budget": "erk", "structure": "kernel"}),
    ("resprop", {"sparsity": 0.7, "warm_up": True}),
    ("swat+resprop", {"sparsity": 0.7, "linear_layers": "sparse"}),
    ("dst", {}),
]
every_method = pytest.mark.parametrize(("method", "options"), OPTIONS)


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, padding="same", groups=6, padding_mode="circular"),
            nn.ReLU(),
            nn.Conv2d(6, 4, 3, stride=2, bias=False),
            nn.Flatten(),
            nn.Linear(36, 5),
        )


def images(seed: int, count: int = 4) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def train(model: nn.Module, seeds, **made) -> list[float]:
    """Train for one iteration per seed, with an optimiser and a schedule of its own."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = golden.Schedule(model, optimizer, iterations_per_epoch=50, **made)
    losses = []
    for seed in seeds:
        optimizer.zero_grad()
        loss = model(images(seed)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    schedule.close()
    return losses


@every_method
def test_parameters_hooks_modes_and_types_are_kept(method, options):
    model = network().double()
    model[3].weight.requires_grad_(False)
    model[5].eval()
    before = dict(model.named_parameters())
    kinds = [type(module) for module in model]
    calls = []
    model[0].register_forward_hook(lambda *_: calls.append("forward"))
    held = model[0]
    assert golden.sparsify(model, method, **options) is model
    assert model[0] is held
    after = dict(model.named_parameters())
    assert all(after[name] is parameter for name, parameter in before.items())
    assert not model[3].weight.requires_grad
    assert [module.training for module in model][3:6] == [True, True, False]
    assert all(isinstance(module, kind) for module, kind in zip(model, kinds, strict=True))
    golden.begin_iteration(model, epoch=0, iteration=0, iterations_per_epoch=2)
    outputs = model(images(0).double())
    assert outputs.dtype == torch.float64
    outputs.sum().backward()
    assert calls == ["forward"]
    assert model[3].weight.grad is None
    assert golden.unsparsify(model) is model
    assert [type(module) for module in model] == kinds
    assert list(model.state_dict()) == list(network().state_dict())
    assert dict(model.named_parameters()).keys() == before.keys()
    assert vars(model[0]).keys() == vars(network()[0]).keys()


@every_method
def test_state_survives_saving_copying_and_pickling(method, options):
    model = golden.sparsify(network(), method, seed=3, **options)
    train(model, range(6), iteration=120)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    restored = golden.sparsify(network(), method, seed=4, **options)
    restored.load_state_dict(torch.load(buffer, weights_only=True))
    copied = copy.deepcopy(model)
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    pickled = torch.load(buffer, weights_only=False)
    expected = train(model, range(6, 12), iteration=126)
    for other in (restored, copied, pickled):
        assert train(other, range(6, 12), iteration=126) == expected
    assert len(set(expected)) == 6


def test_damaged_state_is_reported_by_torch():
    model = golden.sparsify(network(), "swat+resprop")
    state = model.state_dict()
    del state["3.gscn.operand_sparsifier.iteration"]
    with pytest.raises(RuntimeError, match=r"Missing key.*3\.gscn\.operand_sparsifier\.iteration"):
        model.load_state_dict(state)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*3\.gscn\.gradient_sparsifier\.colour"):
        model.load_state_dict(
            {**model.state_dict(), "3.gscn.gradient_sparsifier.colour": state["0.bias"]}
        )


@every_method
def test_baked_weights_compute_what_the_sparse_model_did(method, options):
    model = golden.sparsify(network(), method, **options)
    train(model, range(4))
    if method == "dst":
        with torch.no_grad():
            model[5].gscn.weight_mask.threshold.fill_(0.1)
    model.eval()
    expected = model(images(9))
    baked = golden.unsparsify(copy.deepcopy(model), bake=True)
    torch.testing.assert_close(baked(images(9)), expected)
    zeros = torch.count_nonzero(baked[5].weight) < baked[5].weight.numel()
    assert zeros == (method in ("swat", "swat+resprop", "dst"))
    dense = golden.unsparsify(model)
    assert torch.count_nonzero(dense[5].weight) == dense[5].weight.numel()


def parts(model: nn.Module) -> list[str]:
    """Return, of each convolution and linear layer, the letters of its weights and gradients."""
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return [
        "w" * (m.gscn.operand_sparsifier is not None or m.gscn.weight_mask is not None)
        + "g" * (m.gscn.gradient_sparsifier is not None)
        for m in layers
    ]


@pytest.mark.parametrize(
    ("method", "options", "expected"),
    [
        ("dense", {}, ["", "", "", ""]),
        ("swat", {}, ["", "w", "w", "w"]),
        ("swat", {"budget": "erk"}, ["w", "w", "w", "w"]),
        ("swat", {"budget": "momentum"}, ["w", "w", "w", "w"]),
        ("swat", {"first_layer": "sparse", "last_layer": "dense"}, ["w", "w", "w", ""]),
        ("swat", {"budget": "erk", "first_layer": "dense"}, ["", "w", "w", "w"]),
        ("resprop", {}, ["g", "g", "g", ""]),
        ("resprop", {"linear_layers": "sparse", "first_layer": "dense"}, ["", "g", "g", "g"]),
        ("resprop", {"last_layer": "sparse"}, ["g", "g", "g", "g"]),
        ("swat+resprop", {}, ["g", "wg", "wg", "w"]),
        ("swat+resprop", {"first_layer": "sparse"}, ["wg", "wg", "wg", "w"]),
        ("swat+resprop", {"linear_layers": "dense"}, ["g", "wg", "wg", ""]),
        ("swat+resprop", {"first_layer": "dense", "last_layer": "dense"}, ["", "wg", "wg", ""]),
        ("dst", {}, ["w", "w", "w", "w"]),
        ("dst", {"first_layer": "dense"}, ["", "w", "w", "w"]),
    ],
)
def test_layers_take_part_by_the_rules(method, options, expected):
    assert parts(golden.sparsify(network(), method, **options)) == expected


def test_options_may_be_given_as_an_object():
    options = golden.SWATReSprop(sparsity=0.5, reuse_sparsity=0.9, refresh_period=3)
    model = golden.sparsify(network(), options)
    assert model[3].gscn.operand_sparsifier.refresh_period == 3
    assert float(model[3].gscn.operand_sparsifier.density) == 0.5
    assert model[3].gscn.gradient_sparsifier.sparsity == 0.9
    assert model[7].gscn.operand_sparsifier.refresh_period == 1
    with pytest.raises(InputError, match=r"given by its name if options follow \(sparsity\)"):
        golden.sparsify(network(), options, sparsity=0.1)


def test_excluded_modules_are_left_alone():
    model = golden.sparsify(nn.ModuleDict({"a": network(), "b": network()}), exclude=["b", "a.7"])
    assert type(model["b"][0]) is nn.Conv2d
    assert type(model["a"][7]) is nn.Linear
    assert parts(model["a"][:6]) == ["", "w", "w"]
    golden.sparsify(model["b"], "dst")
    names = ["a.0", "a.3", "a.5", "b.0", "b.3", "b.5", "b.7"]
    assert list(golden.sparsity_report(model)) == names


def test_layers_of_one_and_three_dimensions_and_parametrized_ones_train():
    generator = torch.Generator().manual_seed(0)
    cases = [
        (nn.Conv1d(4, 6, 3, padding=1, groups=2), (3, 4, 9)),
        (nn.Conv3d(2, 3, (1, 3, 2), stride=(1, 2, 1)), (2, 2, 3, 5, 6)),
        (nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 3)), (2, 2, 5, 5)),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (2, 4)),
    ]
    for layer, shape in cases:
        inputs = torch.randn(shape, generator=generator)
        weight, bias = layer.weight.detach(), layer.bias.detach()
        golden.sparsify(layer, "swat", sparsity=0.5, first_layer="sparse")
        outputs = layer(inputs)
        limit = weight.abs().flatten().sort(descending=True).values[-(-weight.numel() // 2) - 1]
        kept = torch.where(weight.abs() >= limit, weight, 0)
        plain = copy.deepcopy(layer)
        plain = golden.unsparsify(plain)
        if nn.utils.parametrize.is_parametrized(plain):
            nn.utils.parametrize.remove_parametrizations(plain, "weight")
        with torch.no_grad():
            plain.weight.copy_(kept)
            plain.bias.copy_(bias)
        torch.testing.assert_close(outputs, plain(inputs))
        outputs.sum().backward()
        assert all(parameter.grad is not None for parameter in layer.parameters())


class Attributed(nn.Conv2d):
    gscn = "the user's"


def test_layers_that_are_not_supported_are_named_all_at_once():
    model = nn.Sequential(
        nn.ReLU(),
        Attributed(2, 2, 3),
        nn.LazyConv2d(3, 3),
        nn.Conv2d(2, 2, 1, dtype=torch.complex64),
        nn.MultiheadAttention(4, 2, dtype=torch.complex64),
    )
    with pytest.raises(InputError) as caught:
        golden.sparsify(model, "swat", sparsity=1.5, budget="all", colour=1, seed=-1, exclude=["9"])
    message = str(caught.value)
    for part in (
        "option of swat must be one of sparsity, budget",
        "not colour",
        "sparsity must be at least 0 and less than 1, not 1.5",
        "budget must be one of uniform, erk, momentum, not 'all'",
        "seed must be a whole number of at least 0, not -1",
        "exclude must name modules of the model, not '9'",
        "layer 1: must have no attribute gscn, which the method needs: exclude it",
        "layer 2: must have its weights, not wait for the first mini-batch",
        "layer 3: must have weights of a floating-point type",
        "layer 4: must have weights of a floating-point type",
        "layer 4.out_proj: must have weights of a floating-point type",
    ):
        assert part in message
    assert type(model[1]) is Attributed


def test_other_mistakes_are_named():
    with pytest.raises(InputError, match="model Sequential must have a convolution or a linear"):
        golden.sparsify(nn.Sequential(nn.ReLU()))
    with pytest.raises(InputError, match=r"method must be one of dense, swat, .*, not 'magic'"):
        golden.sparsify(network(), "magic")
    with pytest.raises(InputError, match=r"layers 0 would all be dense by the rules"):
        golden.sparsify(nn.Sequential(nn.Conv2d(1, 1, 1)), "swat")
    model = golden.sparsify(network())
    with pytest.raises(InputError, match=r"layer 0: must be an ordinary layer, .*; layer 3: must"):
        golden.sparsify(model)
    for function in (golden.unsparsify, golden.sparsity_report, golden.forget_gradients):
        with pytest.raises(InputError, match="model Sequential must have been sparsified"):
            function(network())
    with pytest.raises(InputError, match="sparsified with the method 'dst'"):
        golden.dst_penalty(model)
    weighted = nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))
    with pytest.raises(
        InputError, match="layer ParametrizedLinear: weight must be a parameter, who"
    ):
        golden.sparsify(weighted, "swat", budget="momentum")
    golden.sparsify(weighted, "swat", first_layer="sparse")
    with pytest.raises(InputError, match="weight must be a parameter to be baked"):
        golden.unsparsify(weighted, bake=True)


@pytest.mark.parametrize("method", list(METHODS))
def test_every_option_out_of_range_is_named(method):
    kind = METHODS[method]
    names = [name for name in kind.__dataclass_fields__]
    if not names:
        return
    with pytest.raises(InputError) as caught:
        kind(**dict.fromkeys(names, "wrong"))
    for name in names:
        assert f"{name} must be " in str(caught.value)
    assert str(caught.value).count("not 'wrong'") == len(names)


@pytest.mark.parametrize("method", ["swat", "resprop", "swat+resprop", "dst"])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_gradients_that_are_not_finite_name_the_layer(method, bad):
    model = golden.sparsify(network(), method)
    outputs = model(images(0))
    with pytest.raises(InputError, match="layer 7: output gradients must be finite"):
        outputs.backward(torch.full_like(outputs, bad))
    tolerant = golden.sparsify(network(), "swat", check_gradients=False)
    outputs = tolerant(images(0))
    outputs.backward(torch.full_like(outputs, bad))
    assert not tolerant[7].weight.grad.isfinite().all()


def test_finite_gradients_of_infinite_sum_pass():
    layer = golden.sparsify(nn.Linear(2, 3), "swat", first_layer="sparse")
    outputs = layer(torch.zeros(4, 2))
    outputs.backward(torch.full_like(outputs, 3e38))
    assert layer.bias.grad.isinf().all()
    assert not layer.weight.grad.any()


def test_changed_shapes_name_the_layer_and_can_be_forgotten():
    model = golden.sparsify(network()[:6], "resprop")
    model(images(0)).sum().backward()
    with pytest.raises(
        InputError, match=r"layer 5: mini-batches must keep their 4 samples, not .* 2"
    ):
        model(images(0, 2)).sum().backward()
    with pytest.raises(
        InputError, match=r"layer 5: output gradients .* keep the shape \(4, 3, 3\)"
    ):
        model(images(0)[:, :, :6]).sum().backward()
    golden.forget_gradients(model)
    model(images(0, 2)[:, :, :6]).sum().backward()
    model(images(1, 2)[:, :, :6]).sum().backward()
    with pytest.raises(InputError, match=r"layer 0: inputs must have the shape \(N, 3, H, W\)"):
        model(images(0)[:, :2])


@pytest.mark.parametrize(
    "share",
    [
        np.float64(0.9),
        np.float32(0.9),
        np.float16(0.9),
        np.array(0.9, dtype=np.float32),
        torch.tensor(0.9),
        torch.tensor(0.9, dtype=torch.float16),
        Fraction(9, 10),
        Decimal("0.9"),
    ],
)
def test_numbers_of_numpy_and_torch_are_numbers(share):
    options = {"sparsity": share, "reuse_sparsity": share, "refresh_period": np.int64(3)}
    made = golden.SWATReSprop(**options, warm_up=np.bool_(False))
    assert (made.sparsity, made.reuse_sparsity, made.refresh_period) == (0.9, 0.9, 3)
    assert made.warm_up is False
    model = golden.sparsify(network(), "swat+resprop", **options, seed=torch.tensor(2))
    assert model[5].gscn.operand_sparsifier.density == Fraction(1, 10)
    golden.Schedule(model, iterations_per_epoch=np.int32(3), iteration=torch.tensor(1))
    assert golden.begin_iteration(
        model, epoch=np.int64(1), iteration=np.int64(0), iterations_per_epoch=np.uint8(2)
    )


def test_what_is_no_number_is_refused_by_name():
    for value in (np.float32(1.5), np.array([0.9]), torch.ones(2), "0.9", 0.9j, np.nan, True):
        with pytest.raises(InputError, match="sparsity must be at least 0 and less than 1, not"):
            golden.SWAT(sparsity=value)
    for value in (np.float32(2.5), np.bool_(True), 2.0, "2", [2]):
        with pytest.raises(InputError, match="refresh_period must be a whole number of at least 1"):
            golden.SWAT(refresh_period=value)
        with pytest.raises(InputError, match="seed must be a whole number of at least 0, not"):
            golden.sparsify(network(), seed=value)
        with pytest.raises(InputError, match="iterations_per_epoch must be a whole number, not"):
            golden.Schedule(golden.sparsify(network()), iterations_per_epoch=value)
    with pytest.raises(InputError, match="budget must be one of uniform"):
        golden.SWAT(budget=["uniform"])


def test_one_name_may_be_excluded_and_bad_ones_are_complained_of_once():
    model = golden.sparsify(nn.ModuleDict({"stem": network(), "head": network()}), exclude="head")
    assert type(model["head"][0]) is nn.Conv2d
    assert golden.sparsity_report(model).keys() == {"stem.0", "stem.3", "stem.5", "stem.7"}
    for names, complaint in (
        ("heads", "exclude must name modules of the model, not 'heads'"),
        (5, "exclude must be a name, or names, of modules of the model, not 5"),
        (None, "exclude must be a name, or names, of modules of the model, not None"),
        (b"head", "exclude must be a name, or names, of modules of the model, not b'head'"),
        (["0", 3], "exclude must name modules of the model, not 3"),
    ):
        with pytest.raises(InputError) as caught:
            golden.sparsify(network(), exclude=names)
        assert str(caught.value) == f"sparsify: {complaint}"
