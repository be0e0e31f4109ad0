"""What plain torch allows: views, changes in place, calls in turn, forwards of their own."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional

from gscn import golden
from gscn.errors import InputError
from tests.golden.methods.test_attached import OPTIONS, Cast, every_method, seeded, tokens

LAYERS = {
    "linear": (lambda: nn.Linear(6, 6), (2, 5, 6)),
    "vectors": (lambda: nn.Linear(6, 6), (4, 6)),
    "one vector": (lambda: nn.Linear(6, 6), (6,)),
    "no bias": (lambda: nn.Linear(6, 6, bias=False), (2, 3, 4, 6)),
    "conv1d": (lambda: nn.Conv1d(6, 6, 3, padding=1), (2, 6, 5)),
    "conv2d": (lambda: nn.Conv2d(6, 6, 3, padding=1, bias=False), (2, 6, 4, 5)),
    "conv3d": (lambda: nn.Conv3d(6, 6, 3, padding=1), (2, 6, 3, 3, 3)),
    "reflecting": (lambda: nn.Conv2d(6, 6, 3, padding=1, padding_mode="reflect"), (2, 6, 4, 4)),
    "uneven": (lambda: nn.Conv1d(6, 6, 4, padding="same"), (2, 6, 5)),
    "one image": (lambda: nn.Conv2d(6, 6, 3, padding=1), (6, 4, 4)),
    "one signal": (lambda: nn.Conv1d(6, 6, 3, padding=1), (6, 5)),
    "transposed1d": (lambda: nn.ConvTranspose1d(6, 6, 3, padding=1), (2, 6, 5)),
    "transposed": (lambda: nn.ConvTranspose2d(6, 6, 3, padding=1, groups=2), (2, 6, 4, 4)),
    "one transposed": (lambda: nn.ConvTranspose2d(6, 6, 3, padding=1), (6, 4, 4)),
    "transposed3d": (lambda: nn.ConvTranspose3d(6, 6, 3, padding=1), (1, 6, 3, 3, 3)),
}
AFTER = {
    "relu_": functional.relu_,
    "a slice": lambda y: y.select(-1, 0).add_(1) is None or y,
    "squeezed": lambda y: y.unsqueeze_(0).mul_(2),
    "a view of a view": lambda y: y.flatten().unsqueeze(0).mul_(3),
    "transposed in place": lambda y: y.transpose_(-1, 0).clamp_(min=0),
}


def results(model: nn.Module, x: torch.Tensor, change) -> list[torch.Tensor]:
    """Return outputs and gradients of a model whose outputs are changed in place."""
    x = x.clone().requires_grad_()
    hidden = functional.relu_(x * 1)  # In place before the layer.
    outputs = change(model(hidden)) * 1
    model.zero_grad()
    outputs.square().sum().backward()
    # Parts of the method have no gradients with the dense method.
    return [outputs, x.grad, *(p.grad for p in model.parameters())]


# Torch warns of the copies that uneven padding needs.
@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("layer", LAYERS)
def test_outputs_may_be_changed_in_place_as_in_torch(layer):
    make, shape = LAYERS[layer]
    plain = seeded(make, make)
    model = golden.sparsify(copy.deepcopy(plain), "dense")
    for change in AFTER.values():
        expected = results(plain, tokens(0, *shape), change)
        found = results(model, tokens(0, *shape), change)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    for (method, options), change in itertools.product(OPTIONS[1:], AFTER.values()):
        model = golden.sparsify(copy.deepcopy(plain), method, **options)
        for seed in range(2):
            results(model, tokens(seed, *shape), change)


@pytest.mark.parametrize("layer", ["linear", "conv2d", "transposed"])
def test_inputs_of_any_strides_give_the_gradients_of_torch(layer):
    make, shape = LAYERS[layer]
    plain = seeded(make)
    model = golden.sparsify(copy.deepcopy(plain), "dense")
    wide = tokens(0, *(2 * size for size in shape))
    one = tokens(1, *(1 if index < len(shape) - 2 else size for index, size in enumerate(shape)))
    strided = wide[tuple(slice(None, None, 2) for _ in shape)]
    last = tokens(2, *reversed(shape)).permute(*reversed(range(len(shape))))
    for x in (strided, last, *([one.expand(shape)] if layer == "linear" else [])):
        for found, expected in zip(
            results(model, x, lambda y: y), results(plain, x, lambda y: y), strict=True
        ):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@every_method
def test_what_is_changed_before_the_gradients_is_refused_as_torch_does(method, options):
    make, shape = LAYERS["linear"]
    for changed in ("inputs", "weights"):
        model = golden.sparsify(seeded(make), method, **options)
        hidden = tokens(0, *shape).requires_grad_() * 1
        y = model(hidden)
        with torch.no_grad():
            (hidden if changed == "inputs" else model[0].weight).add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


@every_method
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_between_the_passes_memory_holds_no_more_than_of_a_dense_layer(method, options):
    held: dict[int, int] = {}

    def note(tensor):
        # Thresholds, one for each filter at most, are the method's own.
        if tensor.ndim > 1:
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    for layer, (make, shape) in LAYERS.items():
        if (method, layer) == ("dst", "transposed"):
            continue  # The filters of its groups side by side are a copy.
        totals = []
        for model in (
            golden.sparsify(seeded(make), "dense"),
            golden.sparsify(seeded(make), method, **options),
        ):
            held.clear()
            x = tokens(0, *shape).requires_grad_()
            with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
                y = model(x)
            totals.append(sum(held.values()))
            y.sum().backward()
        assert totals[0] == totals[1] > 0


@every_method
def test_a_layer_may_be_called_several_times_before_its_gradients(method, options):
    model = golden.sparsify(seeded(lambda: nn.Conv2d(3, 4, 1), lambda: nn.Conv2d(4, 2, 1)), method)
    for seed in range(4):
        # Other sizes in each call, as a head shared by levels of a pyramid has.
        losses = [
            model(tokens(seed, n, 3, s, s)).square().sum() for n, s in ((2, 6), (2, 3), (5, 2))
        ]
        sum(losses).backward()
    report = golden.sparsity_report(model)["1"]
    sizes = {"activations": 4, "output_grads": 2}
    for what, channels in sizes.items():
        assert model[1].gscn.nonzeros[what][1] == channels * (2 * 36 + 2 * 9 + 5 * 4)
    assert report.weights is not None
    other = golden.sparsify(seeded(lambda: nn.Conv2d(3, 4, 1), lambda: nn.Conv2d(4, 2, 1)), method)
    other.load_state_dict(model.state_dict())
    for one in (model, other):
        one.zero_grad()
        sum(one(tokens(9, n, 3, s, s)).sum() for n, s in ((2, 6), (2, 3), (5, 2))).backward()
    for one, same in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one.grad, same.grad)


def test_gradients_of_two_calls_are_those_of_each_alone():
    for method in ("dst", "swat"):
        model = golden.sparsify(seeded(lambda: nn.Linear(4, 4), lambda: nn.Linear(4, 4)), method)
        if method == "dst":
            with torch.no_grad():
                for layer in model:
                    layer.gscn.weight_mask.threshold.fill_(0.2)
        alone = copy.deepcopy(model)
        (model(tokens(0, 3, 4)).sum() + model(tokens(1, 3, 4)).sum()).backward()
        for seed in range(2):
            # Each in an iteration of its own, of which the first selects exactly.
            single = copy.deepcopy(alone)
            single(tokens(seed, 3, 4)).sum().backward()
            for one, whole in zip(single.parameters(), model.parameters(), strict=True):
                whole.grad -= one.grad
        for whole in model.parameters():
            torch.testing.assert_close(whole.grad, torch.zeros_like(whole))


def test_calls_of_one_iteration_have_one_choice_of_weights():
    model = golden.sparsify(
        nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 8, 1)).double(), "swat", refresh_period=2
    )
    top = model[1].gscn.operand_sparsifier
    for iteration in range(1, 5):
        losses = [model(tokens(seed, 2, 1, 4, 4)).sum() for seed in range(3)]
        assert top.iteration == iteration
        del losses  # Without gradients the calls end with their graph.
    model(tokens(0, 2, 1, 4, 4)).sum().backward()
    assert top.iteration == 5


def test_reuse_keeps_a_gradient_for_each_call_of_an_iteration():
    model = golden.sparsify(nn.Sequential(nn.Conv2d(1, 1, 1)).double(), "resprop", sparsity=0.9)
    reuse = model[0].gscn.gradient_sparsifier
    for _ in range(3):
        first, second = model(tokens(0, 2, 1, 2, 2)), model(tokens(0, 2, 1, 2, 2))
        (3 * first.sum() + 5 * second.sum()).backward()
    assert reuse.reused_grad.unique().item() == 3
    # All gradients of a call are alike, so all differences are zero.
    assert model[0].gscn.nonzeros["output_grads"][0] == 0


class Same(nn.Conv2d):
    """As `timm.layers.Conv2dSame`."""

    def forward(self, x):
        padded = functional.pad(x, (0, 1, 1, 1))
        return functional.conv2d(
            padded, self.weight, self.bias, self.stride, (0, 0), self.dilation, self.groups
        )


class Standardised(nn.Conv2d):
    """As `timm.layers.ScaledStdConv2d`."""

    def forward(self, x):
        weight = functional.batch_norm(
            self.weight.reshape(1, self.out_channels, -1), None, None, training=True, momentum=0.0
        ).reshape_as(self.weight)
        return self._conv_forward(x, weight, self.bias)


class Doubled(nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        return functional.conv2d(x, weight=2 * weight, bias=bias, padding="same")


class LowRank(nn.Linear):
    """A dense addition of parameters of its own, as adapters have."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.down = nn.Parameter(torch.ones(1, sizes[0]))

    def forward(self, x):
        return functional.linear(x, self.weight, bias=self.bias) + (x @ self.down.T).sum()


def own_forwards() -> nn.Sequential:
    return seeded(
        lambda: Same(3, 4, 3, stride=2),
        lambda: Standardised(4, 4, 3, padding=1, groups=2),
        lambda: Doubled(4, 2, 3),
        nn.Flatten,
        lambda: Cast(18, 8),
        lambda: LowRank(8, 2),
    )


def test_forwards_of_their_own_compute_what_they_did():
    plain = own_forwards()
    model = golden.sparsify(copy.deepcopy(plain), "dense")
    x = tokens(0, 2, 3, 6, 6)
    for found, expected in zip(
        results(model, x, functional.relu_), results(plain, x, functional.relu_), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ["swat", "swat+resprop", "dst"])
def test_forwards_of_their_own_become_sparse(method):
    model = golden.sparsify(own_forwards(), method)
    if method == "dst":
        with torch.no_grad():
            for layer in (model[0], model[1]):
                layer.gscn.weight_mask.threshold.fill_(0.15)
    for seed in range(2):
        model(tokens(seed, 2, 3, 6, 6)).square().sum().backward()
    report = golden.sparsity_report(model)
    assert list(report) == ["0", "1", "2", "4", "5"]
    if method == "dst":
        # Of the weights as the convolution gets them, standardised.
        weight = model[1].weight.flatten(1)
        used = (weight - weight.mean(1, keepdim=True)) / weight.std(1, False, keepdim=True)
        assert report["1"].weights == int((used.abs() > 0.15).sum()) / weight.numel()
    else:
        assert report["1"].weights == pytest.approx(0.2, abs=0.01)
    model.eval()(tokens(3, 2, 3, 6, 6))
    with pytest.raises(
        InputError, match="layer 1: weight must be used as it is to be baked, not a"
    ):
        golden.unsparsify(model, bake=True)
    assert [type(layer) for layer in golden.unsparsify(model)][:3] == [Same, Standardised, Doubled]


@pytest.mark.parametrize("method", ["swat", "dst"])
def test_forwards_of_their_own_that_use_the_weight_as_it_is_are_baked(method):
    model = golden.sparsify(seeded(lambda: nn.Linear(4, 4), lambda: Cast(4, 4)), method)
    with (
        pytest.raises(InputError, match="layers 1 must have been called to be baked")
        if (method == "swat")
        else pytest.raises(InputError, match="layers 0, 1 must have been called to be baked")
    ):
        golden.unsparsify(model, bake=True)
    model(tokens(0, 3, 4)).sum().backward()
    expected = model.eval()(tokens(1, 3, 4))
    torch.testing.assert_close(golden.unsparsify(model, bake=True)(tokens(1, 3, 4)), expected)


class Twice(nn.Linear):
    def forward(self, x):
        return functional.linear(functional.linear(x, self.weight), self.weight)


class Beside(nn.Linear):
    def forward(self, x):
        return functional.linear(x, self.weight) + x @ self.weight.T


class Scaled(nn.Linear):
    def forward(self, x):
        return functional.linear(x, self.weight) * self.weight.norm()


class Matrix(nn.Linear):
    def forward(self, x):
        return x @ self.weight.T


class Partly(nn.Linear):
    def forward(self, x):
        return functional.linear(x, self.weight[:2])


class Never(nn.Linear):
    def forward(self, x):
        return x


@pytest.mark.parametrize("kind", [Twice, Beside, Scaled, Matrix, Partly, Never])
def test_other_uses_of_a_weight_are_refused_by_name(kind):
    model = golden.sparsify(nn.Sequential(nn.Linear(4, 4), kind(4, 4)), "swat")
    with pytest.raises(InputError, match="layer 1: its own forward must use its weight, however"):
        model(torch.ones(2, 4))


@every_method
def test_nothing_to_multiply_is_no_iteration(method, options):
    model = golden.sparsify(
        seeded(lambda: nn.Conv2d(3, 4, 3), nn.Flatten, lambda: nn.Linear(16, 2)), method, **options
    )
    model(tokens(0, 2, 3, 4, 4)).sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.zero_grad()
    outputs = model(tokens(0, 0, 3, 4, 4))
    assert outputs.shape == (0, 2)
    outputs.sum().backward()
    assert not model[0].weight.grad.any()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.eval()(tokens(0, 0, 3, 4, 4)).shape == (0, 2)


@every_method
def test_transforms_of_torch_give_the_gradients_of_evaluation(method, options):
    model = golden.sparsify(
        seeded(lambda: nn.Conv2d(3, 4, 3), nn.Flatten, lambda: nn.Linear(16, 2)), method, **options
    )
    if method == "dst":
        with torch.no_grad():
            model[0].gscn.weight_mask.threshold.fill_(0.1)
    model.eval()
    x = tokens(0, 3, 3, 4, 4)
    parameters = dict(model.named_parameters())

    def loss(parameters, x):
        return torch.func.functional_call(model, parameters, (x,)).square().sum()

    found = torch.func.grad(loss)(parameters, x)
    model(x).square().sum().backward()
    for name, parameter in parameters.items():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-12, atol=1e-12)
    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, x[:, None])
    for name, parameter in parameters.items():
        torch.testing.assert_close(each[name].sum(0), parameter.grad, rtol=1e-12, atol=1e-12)
    model.train()
    if method == "dense":
        torch.func.grad(loss)(parameters, x)
    else:
        with pytest.raises(InputError, match=r"layer 0: a training step .* torch\.func.*eval\(\)"):
            torch.func.grad(loss)(parameters, x)


@every_method
def test_models_are_exported_in_evaluation_mode(method, options):
    model = golden.sparsify(
        seeded(lambda: nn.Conv2d(3, 4, 3), nn.Flatten, lambda: nn.Linear(16, 2)), method, **options
    )
    x = tokens(0, 2, 3, 4, 4)
    model.eval()
    expected = model(x)
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), expected)
    with pytest.raises(InputError, match=r"layer 0: inputs must be a tensor, not a torch\.fx"):
        torch.fx.symbolic_trace(model)
    model.train()
    if method != "dense":
        with pytest.raises(InputError, match=r"layer 0: a training step .* golden\.unsparsify"):
            torch.export.export(model, (x,))


def test_inputs_of_a_wrong_kind_are_named():
    model = golden.sparsify(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))
    with pytest.raises(InputError, match="layer 0: inputs must be a tensor, not list"):
        model([1.0] * 4)
    with pytest.raises(InputError, match=r"layer 0: inputs must have the shape \(N, \.\.\., 4\)"):
        model(torch.ones(2, 3))
    conv = golden.sparsify(nn.ConvTranspose2d(2, 4, 1), "dense")
    with pytest.raises(InputError, match=r"must have the shape \(N, 2, H, W\), or \(2, H, W\)"):
        conv(torch.ones(4, 5, 5))
