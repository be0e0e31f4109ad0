"""What a method attaches to a layer: out of the way of the layer's names, flags and changes."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune

from gscn import golden
from gscn.errors import InputError
from gscn.golden.methods.layers import TrainingConv2d, TrainingLinear

OPTIONS = [
    ("dense", {}),
    ("swat", {"sparsity": 0.5, "first_layer": "sparse"}),
    ("resprop", {"sparsity": 0.5, "linear_layers": "sparse"}),
    ("swat+resprop", {"sparsity": 0.5, "first_layer": "sparse", "linear_layers": "sparse"}),
    ("dst", {}),
]
every_method = pytest.mark.parametrize(("method", "options"), OPTIONS)


def seeded(*layers) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return nn.Sequential(*(make() for make in layers)).double()


def tokens(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def step(model: nn.Module, *shape: int, count: int = 2) -> None:
    for seed in range(count):
        model(tokens(seed, *shape)).square().sum().backward()


class Crowded(nn.Linear):
    """Has every name that a method once took for itself."""

    observer = "theirs"
    nonzeros = 3
    ordinary_class = layer_name = "theirs"

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.weight_mask = nn.Parameter(torch.ones(2))
        self.operand_sparsifier, self.gradient_sparsifier = nn.Identity(), "theirs"
        self.arithmetic = self.geometry = self.check_gradients = "theirs"

    def error(self) -> str:
        return "theirs"

    attach = detach = observe = split_gradient = conv_shape = _compute = _count = error


@every_method
def test_no_name_of_a_layer_is_taken(method, options):
    model = seeded(lambda: Crowded(4, 4), lambda: nn.Linear(4, 4))
    held = {name: getattr(model[0], name) for name in vars(model[0]) if name[0] != "_"}
    golden.sparsify(model, method, **options)
    step(model, 3, 4)
    layer = model[0]
    for name, value in held.items():
        assert name == "training" or getattr(layer, name) is value, name
    assert (layer.observer, layer.nonzeros, layer.layer_name) == ("theirs", 3, "theirs")
    for name in ("error", "attach", "detach", "observe", "split_gradient", "conv_shape"):
        assert getattr(layer, name)() == "theirs"
    assert [name for name, _ in layer.named_children()] == ["operand_sparsifier", "gscn"]
    golden.unsparsify(model)
    assert type(layer) is Crowded
    assert layer.weight_mask.numel() == 2


@every_method
def test_pruning_before_is_kept_and_can_end_meanwhile(method, options):
    model = seeded(lambda: nn.Linear(4, 4), lambda: nn.Linear(4, 4))
    prune.l1_unstructured(model[0], "weight", 0.5)
    mask = model[0].weight_mask.clone()
    golden.sparsify(model, method, **options)
    step(model, 3, 4)
    assert torch.equal(model[0].weight_mask, mask)
    assert not model[0].weight_orig.grad[mask == 0].any()
    prune.remove(model[0], "weight")
    step(model, 3, 4)
    golden.unsparsify(model)
    assert type(model[0]) is nn.Linear
    assert not model[0].weight[mask == 0].any()


@every_method
def test_pruning_meanwhile_is_kept(method, options):
    model = seeded(partial(nn.Linear, 4, 4), partial(nn.Linear, 4, 4))
    golden.sparsify(model, method, **options)
    prune.random_unstructured(model[0], "weight", 4)
    step(model, 3, 4)
    golden.unsparsify(model)
    assert model[0].weight_mask.sum() == 12
    model(tokens(0, 3, 4))
    prune.remove(model[0], "weight")
    assert torch.count_nonzero(model[0].weight) == 12


@every_method
def test_parametrizations_come_and_go_meanwhile(method, options):
    model = seeded(partial(nn.Conv2d, 3, 4, 3), partial(nn.Conv2d, 4, 4, 1))
    golden.sparsify(model, method, **options)
    parametrizations.spectral_norm(model[0])
    step(model, 3, 3, 5, 5)
    singular = torch.linalg.svdvals(model[0].eval().weight.detach().flatten(1))[0]
    assert singular.item() == pytest.approx(1, abs=0.1)
    apart = golden.unsparsify(copy.deepcopy(model))
    assert type(apart[0]).__name__ == "ParametrizedConv2d"
    assert parametrize.type_before_parametrizations(apart[0]) is nn.Conv2d
    apart(tokens(0, 3, 3, 5, 5))
    parametrize.remove_parametrizations(apart[0], "weight")
    assert type(apart[0]) is nn.Conv2d

    # A class of parametrizations is shared by copies, so the original needs its own again.
    model = seeded(
        lambda: parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), partial(nn.Conv2d, 4, 4, 1)
    )
    golden.sparsify(model, method, **options)
    step(model, 3, 3, 5, 5)
    parametrize.remove_parametrizations(model[0], "weight")
    assert type(model[0]) is TrainingConv2d
    step(model, 3, 3, 5, 5)
    assert golden.sparsity_report(model)["0"].activations is not None
    golden.unsparsify(model)
    assert type(model[0]) is nn.Conv2d


class Cast(nn.Linear):
    """As `timm.layers.Linear`."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.linear(input, self.weight, self.bias)


@every_method
def test_a_layer_with_a_forward_of_its_own_is_copied_and_pickled(method, options):
    model = golden.sparsify(seeded(lambda: Cast(4, 4), partial(nn.Linear, 4, 4)), method, **options)
    step(model, 3, 4)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        one = copy.deepcopy(model)
        for seed in range(5):
            x = tokens(seed, 3, 4)
            assert torch.equal(one(x), other(x))
            one(x).sum().backward()
            other(x).sum().backward()
            assert torch.equal(one[0].weight.grad, other[0].weight.grad)
        assert type(golden.unsparsify(other)[0]) is Cast


def test_states_of_earlier_names_are_loaded():
    model = golden.sparsify(seeded(partial(nn.Conv2d, 3, 4, 3), partial(nn.Conv2d, 4, 4, 1)))
    other = copy.deepcopy(model)
    step(model, 3, 3, 5, 5, count=3)
    state = {name.replace("gscn.", ""): value for name, value in model.state_dict().items()}
    assert "1.operand_sparsifier.iteration" in state
    other.load_state_dict(state)
    assert other[1].gscn.operand_sparsifier.iteration == 3
    state["1.operand_sparsifier.colour"] = torch.zeros(())
    with pytest.raises(RuntimeError, match=r"1\.gscn\.operand_sparsifier\.colour"):
        other.load_state_dict(state)


def test_the_flag_of_a_layer_alone_ends_its_statistics():
    model = golden.sparsify(seeded(partial(nn.Linear, 4, 4), partial(nn.Linear, 4, 4)), "swat")
    model[0].eval()
    model[1].training = False  # As `eval()` on nothing but the layer's own flag.
    step(model, 3, 4)
    for layer in golden.sparsity_report(model).values():
        assert (layer.weights, layer.activations, layer.output_grads) == (None, None, None)
    assert model[1].gscn.operand_sparsifier.iteration == 0
    model.train()
    step(model, 3, 4)
    assert model[1].gscn.operand_sparsifier.iteration == 2


def test_modes_of_modules_in_a_layer_are_left_alone():
    layer = parametrizations.spectral_norm(nn.Linear(4, 4))
    layer.parametrizations.weight[0].eval()
    golden.sparsify(layer, "dense")
    assert layer.training
    assert not layer.parametrizations.weight[0].training


def test_thresholds_of_frozen_weights_stay():
    model = seeded(partial(nn.Linear, 4, 4), partial(nn.Linear, 4, 4), partial(nn.Linear, 4, 4))
    model[0].requires_grad_(False)
    golden.sparsify(model, "dst")
    with torch.no_grad():
        for layer in model:
            layer.gscn.weight_mask.threshold.fill_(9)
    model[1].weight.requires_grad_(False)
    (model(tokens(0, 3, 4)).sum() + golden.dst_penalty(model)).backward()
    frozen, later, free = (layer.gscn.weight_mask.threshold for layer in model)
    assert not frozen.requires_grad
    assert frozen.grad is None
    assert later.grad is None
    assert free.grad.any()
    # Nothing passes a threshold of 9, so those that may move go back to 0.
    assert [t.unique().item() for t in (frozen, later, free)] == [9, 9, 0]
    model[2].weight.requires_grad_(False)
    assert golden.dst_penalty(model) == 0


def test_inputs_of_a_frozen_layer_may_be_changed_after_as_in_torch():
    for method, options in OPTIONS:
        model = golden.sparsify(seeded(partial(nn.Linear, 4, 4)), method, **options)
        model[0].weight.requires_grad_(False)
        x = tokens(0, 3, 4)
        hidden = x.clone().requires_grad_() * 1
        y = model(hidden)
        hidden.add_(1)
        y.sum().backward()


def test_a_name_that_is_taken_and_a_wrong_model_are_refused():
    layer = nn.Linear(2, 2)
    layer.gscn = "theirs"
    with pytest.raises(InputError, match="layer Linear: must have no attribute gscn"):
        golden.sparsify(layer)
    with pytest.raises(InputError, match=r"model must be a torch\.nn\.Module, not str"):
        golden.sparsify("resnet18")


def test_ordinary_layers_have_classes_that_can_be_named():
    model = golden.sparsify(
        seeded(partial(nn.Conv2d, 3, 4, 3), nn.Flatten, partial(nn.Linear, 4, 4))
    )
    assert [type(model[0]), type(model[2])] == [TrainingConv2d, TrainingLinear]
