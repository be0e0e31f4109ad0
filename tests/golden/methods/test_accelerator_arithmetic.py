"""Training in the accelerator's arithmetic: layers, networks, and the accuracy that it reaches."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from gscn import golden
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.formats import BF16
from gscn.golden.methods.accelerator_arithmetic import WindowedArithmetic, arithmetic_called
from gscn.golden.methods.operand_formats import FORMATS, formats_of
from gscn.golden.methods.options import ARITHMETICS
from gscn.golden.oracle.integers import convolve
from gscn.golden.recipe import Recipe
from gscn.golden.training.converted_network import build_network, conv_layers, set_arithmetic
from gscn.golden.training.training import Trainer, train

BOTH = ("float32", "bf16")


def rounded(values: torch.Tensor) -> torch.Tensor:
    """Round as torch does to bf16, in double precision."""
    return values.bfloat16().double()


@pytest.mark.parametrize("result_format", [None, BF16])
def test_a_layer_gives_the_rounded_results_of_rounded_operands(result_format):
    options = {} if result_format is None else {"result_format": result_format}
    generator = torch.Generator().manual_seed(1)
    layer = nn.Conv2d(3, 5, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2))
    golden.sparsify(layer, "dense")
    layer.gscn.arithmetic = WindowedArithmetic(**options)
    inputs = torch.randn(4, 3, 9, 8, generator=generator).requires_grad_()
    output = layer(inputs)
    output_grad = torch.randn(output.shape, generator=generator)
    output.backward(output_grad)

    exact = nn.Conv2d(3, 5, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2)).double()
    exact.weight.data, exact.bias.data = rounded(layer.weight.data), torch.zeros(5).double()
    exact_inputs = rounded(inputs.detach()).requires_grad_()
    exact_output = exact(exact_inputs)
    exact_output.backward(rounded(output_grad))

    # Rounded once: half a unit in the last place, and what the window drops.
    precision = 2.0**-8 if result_format is BF16 else 2.0**-24
    bias = layer.bias.detach().reshape(1, -1, 1, 1)
    found = (output.detach() - bias, inputs.grad, layer.weight.grad)
    for got, want in zip(found, (exact_output, exact_inputs.grad, exact.weight.grad), strict=True):
        # Adding the bias and taking it away rounds twice more, in float32.
        limit = precision * want.abs() + 2.0**-22
        assert ((got.double() - want).abs() <= limit).all()
        if result_format is BF16 and got is not found[0]:
            assert torch.equal(got.bfloat16().float(), got)
            assert not torch.equal(got.double(), want)
    assert torch.allclose(layer.bias.grad, output_grad.sum((0, 2, 3)))


@pytest.mark.parametrize("which", Pass)
def test_results_do_not_depend_on_the_order_of_the_contraction(which):
    shape = ConvShape(n=6, c=8, h=7, w=7, k=8, r=3, s=3, padding=(1, 1))
    generator = torch.Generator().manual_seed(2)
    # Magnitudes of many binades, so that sums in float32 do depend on it.
    first, second = (
        torch.randn(size, generator=generator)
        * 2.0 ** torch.randint(-9, 9, size, generator=generator)
        for size in shape.operand_shapes(which)
    )
    axes = {Pass.FORWARD: (1, 1), Pass.INPUT_GRAD: (0, 1), Pass.WEIGHT_GRAD: (0, 0)}[which]
    order = torch.randperm(first.shape[axes[0]], generator=generator)
    shuffled = (o.index_select(axis, order) for o, axis in zip((first, second), axes, strict=True))
    arithmetic = WindowedArithmetic()
    one = arithmetic.convolve(which, shape, first, second)
    assert torch.equal(arithmetic.convolve(which, shape, *shuffled), one)
    assert one.abs().max() > 0


def test_operands_are_rounded_to_even_and_the_type_is_kept():
    shape = ConvShape(n=1, c=1, h=1, w=3, k=1, r=1, s=1)
    ties = torch.tensor([1 + 2.0**-8, 1 + 3 * 2.0**-8, -(1 + 2.0**-8)]).reshape(1, 1, 1, 3)
    one = torch.ones(1, 1, 1, 1)
    for dtype in (torch.float32, torch.float64):
        found = WindowedArithmetic().convolve(Pass.FORWARD, shape, one.to(dtype), ties.to(dtype))
        assert found.dtype == dtype
        assert found.flatten().tolist() == [1.0, 1 + 2.0**-6, -1.0]


def test_infinite_and_undefined_operands_reach_the_results():
    shape = ConvShape(n=1, c=1, h=1, w=4, k=1, r=1, s=1)
    inputs = torch.tensor([float("inf"), float("-inf"), float("nan"), 2.0]).reshape(1, 1, 1, 4)
    weight = torch.full((1, 1, 1, 1), -1.0)
    found = WindowedArithmetic().convolve(Pass.FORWARD, shape, weight, inputs).flatten()
    assert found[:2].tolist() == [float("-inf"), float("inf")]
    assert found[2].isnan()
    assert found[3] == -2.0


def test_both_terms_of_a_sparse_gradient_are_calculated_so():
    layer = nn.Conv2d(2, 3, 3, padding=1)
    golden.sparsify(layer, "swat+resprop", sparsity=0.5, first_layer="sparse")
    calls = []

    class Counting:
        def convolve(self, which, shape, first, second):
            calls.append((which, shape.n))
            return convolve(shape, which, first, second)

        def together(self, calls):
            return [call() for call in calls]

    layer.gscn.arithmetic = Counting()
    for _ in range(2):
        calls.clear()
        layer.gscn.gradient_sparsifier.start_iteration(epoch=0, dense=False)
        layer(torch.randn(4, 2, 5, 5, requires_grad=True)).square().sum().backward()
    assert calls == [
        (Pass.FORWARD, 4),
        (Pass.INPUT_GRAD, 4),
        (Pass.INPUT_GRAD, 1),
        (Pass.WEIGHT_GRAD, 4),
        (Pass.WEIGHT_GRAD, 1),
    ]


def test_other_arithmetic_can_be_undone():
    layer = golden.sparsify(nn.Conv2d(4, 4, 3, groups=2), "dense")
    layer.gscn.arithmetic = WindowedArithmetic()
    layer(torch.ones(1, 4, 3, 3))
    golden.unsparsify(layer)
    assert not hasattr(layer, "arithmetic")
    assert layer(torch.ones(1, 4, 3, 3)).shape == (1, 4, 1, 1)


def test_names_choose_the_arithmetic_of_every_convolution():
    network = build_network("swat+resprop")
    kinds = {name: WindowedArithmetic(formats=formats_of(name)) for name in FORMATS}
    assert kinds["bf16"] == WindowedArithmetic()
    kinds = {"float32": None, **kinds}
    assert tuple(kinds) == ARITHMETICS
    for name, arithmetic in kinds.items():
        set_arithmetic(network, arithmetic_called(name))
        assert [layer.gscn.arithmetic for layer in conv_layers(network).values()] == [
            arithmetic
        ] * 10
        trainer = Trainer(Recipe(arithmetic=name))
        assert conv_layers(trainer.network)["stem"].gscn.arithmetic == arithmetic
    with pytest.raises(InputError, match=r"arithmetic must be one of float32, bf16, .*, not 'fp4'"):
        arithmetic_called("fp4")
    with pytest.raises(InputError, match=r"arithmetic must be one of float32, bf16, .*, not 'fp4'"):
        Recipe(arithmetic="fp4")


def test_a_checkpoint_keeps_the_arithmetic_and_goes_on_exactly(tmp_path):
    whole = Trainer(Recipe(method="swat+resprop", arithmetic="bf16", batch_size=4))
    losses = [progress.loss for progress in whole.run(3)]
    cut = Trainer(whole.recipe)
    list(cut.run(2))
    cut.save(tmp_path / "cut.pt")
    resumed = Trainer.load(tmp_path / "cut.pt")
    assert resumed.recipe.arithmetic == "bf16"
    assert [progress.loss for progress in resumed.run(3)] == losses[2:]


def test_a_checkpoint_without_an_arithmetic_is_one_of_float32(tmp_path):
    trainer = Trainer(Recipe(batch_size=4))
    trainer.save(tmp_path / "new.pt")
    state = torch.load(tmp_path / "new.pt", weights_only=True)
    del state["recipe"]["arithmetic"]
    torch.save(state, tmp_path / "old.pt")
    assert Trainer.load(tmp_path / "old.pt").recipe.arithmetic == "float32"


def test_one_step_in_bf16_is_near_one_in_float32():
    trainers = {name: Trainer(Recipe(method="swat+resprop", arithmetic=name)) for name in BOTH}
    start = copy.deepcopy(trainers["bf16"].network.state_dict())
    losses = {name: trainer.step().loss for name, trainer in trainers.items()}
    assert losses["bf16"] == pytest.approx(losses["float32"], rel=0.02)
    assert losses["bf16"] != losses["float32"]
    for name, layer in conv_layers(trainers["bf16"].network).items():
        other = conv_layers(trainers["float32"].network)[name]
        before = start[f"{name}.weight"]
        update, expected = layer.weight.detach() - before, other.weight.detach() - before
        cosine = torch.nn.functional.cosine_similarity(update.flatten(), expected.flatten(), dim=0)
        assert cosine > 0.9, name


def accuracies(**recipe) -> dict[str, float]:
    return {
        name: train(Recipe(method="swat+resprop", arithmetic=name, **recipe)).test_accuracy
        for name in BOTH
    }


def test_two_epochs_in_bf16_learn_as_much_as_in_float32():
    found = accuracies(epochs=2)
    assert found["float32"] > 0.9
    assert found["bf16"] >= found["float32"] - 0.03, found


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sparse_training_in_bf16_is_within_a_point_of_float32(seed):
    found = accuracies(seed=seed)
    assert found["float32"] > 0.97
    assert found["bf16"] >= found["float32"] - 0.01, found
