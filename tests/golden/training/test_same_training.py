"""Training recipes give, bit for bit, what plain layers of their own give.

The plain layers are written for this test with torch's public functions alone: thresholds by a full
sort, gradients by `torch.nn.grad`. A difference of one bit in any iteration shows in the losses.
"""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

from gscn.golden.networks.residual import DigitsNetwork
from gscn.golden.recipe import METHODS, Recipe, method_options
from gscn.golden.training.training import Trainer

ITERATIONS_PER_EPOCH = 7
EPOCHS = 3


class Choice:
    """Weights and activations kept, with thresholds that are exact every `period` iterations."""

    def __init__(self, sparsity: float, period: int) -> None:
        self.sparsity, self.period, self.iteration = sparsity, period, 0

    def threshold(self, values: torch.Tensor) -> torch.Tensor:
        count = math.ceil((1 - Decimal(str(self.sparsity))) * values.numel())
        return values.detach().abs().flatten().sort(descending=True).values[count - 1]

    def __call__(self, inputs: torch.Tensor, weights: torch.Tensor):
        if self.iteration % self.period == 0:
            self.limits = self.threshold(inputs), self.threshold(weights)
        self.iteration += 1
        return tuple(
            torch.where(values.abs() >= limit, values, 0)
            for values, limit in zip((inputs, weights), self.limits, strict=True)
        )


class Reuse:
    """Output gradients as differences to a sample's of the iteration before."""

    def __init__(self, sparsity: float, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.final = 1 - Decimal(str(sparsity)) + Decimal("0.05")
        self.threshold, self.reused = 1e-7, None

    def start(self, epoch: int, position: int) -> None:
        self.dense = position in (0, ITERATIONS_PER_EPOCH - 1)
        # W-ReSprop: all in epochs 0 and 1, then 100 - 10 e %.
        self.target = Decimal(1) if epoch < 2 else max(self.final, 1 - Decimal(epoch) / 10)

    def __call__(self, grad: torch.Tensor):
        sparse, shared = grad, None
        if not self.dense and self.target < 1:
            shared = self.reused
            difference = grad - shared
            sparse = torch.where(difference.abs() > self.threshold, difference, 0)
            share = Decimal(int((sparse != 0).sum())) / sparse.numel()
            self.threshold *= 2 if share > self.target else 0.5 if share < self.target else 1
        index = torch.randint(len(grad), (), generator=self.generator)
        self.reused = grad[index].clone()
        return sparse, shared


class PlainPasses(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs, weights, layer):
        saved, used = (inputs, weights) if layer.choice is None else layer.choice(inputs, weights)
        ctx.layer = layer
        ctx.save_for_backward(saved, used)
        return functional.conv2d(inputs, used, None, layer.stride, layer.padding)

    @staticmethod
    def backward(ctx, grad):
        (saved, used), layer = ctx.saved_tensors, ctx.layer
        where = layer.stride, layer.padding
        sparse, shared = (grad, None) if layer.reuse is None else layer.reuse(grad)
        input_grad = None
        if ctx.needs_input_grad[0]:
            input_grad = conv2d_input(saved.shape, used, sparse, *where)
        weight_grad = conv2d_weight(saved, used.shape, sparse, *where)
        if shared is not None:
            one = shared[None]
            if input_grad is not None:
                input_grad = input_grad + conv2d_input(saved[:1].shape, used, one, *where)
            total = saved.sum(0, keepdim=True)
            weight_grad = weight_grad + conv2d_weight(total, used.shape, one, *where)
        return input_grad, weight_grad, None


class PlainConv(nn.Conv2d):
    def forward(self, inputs):
        return PlainPasses.apply(inputs, self.weight, self)


class PlainLinear(nn.Linear):
    def forward(self, inputs):
        weights, bias, choice = self.weight, self.bias, self.choice
        if choice is None:
            return super().forward(inputs)
        saved, used = choice(inputs.detach(), weights.detach())
        # Gradients as of `inputs @ used.T` for the inputs and of `saved @ weights.T` for weights.
        outputs = functional.linear(inputs, used, bias)
        return Straight.apply(outputs, weights, saved)


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, outputs, _weights, saved):
        ctx.save_for_backward(saved)
        return outputs.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad, grad.T @ ctx.saved_tensors[0], None


def plain_losses(recipe: Recipe, trainer: Trainer) -> list[float]:
    """Train plain layers from the trainer's parameters, on its images, by its recipe."""
    torch_state = torch.random.get_rng_state()
    network = DigitsNetwork()
    torch.random.set_rng_state(torch_state)
    parameters = {name: value.clone() for name, value in trainer.network.named_parameters()}
    network.load_state_dict({**network.state_dict(), **parameters})
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    swat, reuse = "swat" in recipe.method, "resprop" in recipe.method
    for index, conv in enumerate(convs):
        conv.__class__ = PlainConv
        conv.choice = Choice(recipe.sparsity, recipe.refresh_period) if swat and index else None
        conv.reuse = Reuse(recipe.sparsity, recipe.seed * len(convs) + index) if reuse else None
    network.classifier.__class__ = PlainLinear
    network.classifier.choice = Choice(recipe.sparsity, 1) if swat else None
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    losses = []
    images, labels = trainer.dataset.train_images, trainer.dataset.train_labels
    for iteration in range(EPOCHS * ITERATIONS_PER_EPOCH):
        epoch, position = divmod(iteration, ITERATIONS_PER_EPOCH)
        for conv in convs:
            if conv.reuse is not None:
                conv.reuse.start(epoch, position)
        share = iteration / (EPOCHS * ITERATIONS_PER_EPOCH)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * (1 + math.cos(math.pi * share)) / 2
        order = torch.Generator().manual_seed((recipe.seed << 20) + epoch)
        chosen = torch.randperm(len(labels), generator=order)[position * recipe.batch_size :]
        chosen = chosen[: recipe.batch_size]
        loss = functional.cross_entropy(network(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("method", [m for m in METHODS if m != "dst"])
def test_recipes_train_as_plain_layers_do(method):
    recipe = Recipe(
        method=method,
        epochs=EPOCHS,
        iterations_per_epoch=ITERATIONS_PER_EPOCH,
        batch_size=16,
        seed=2,
        **method_options(method, sparsity=0.9, refresh_period=3, warm_up=True),
    )
    trainer = Trainer(recipe)
    expected = plain_losses(recipe, trainer)
    found = [progress.loss for progress in trainer.run()]
    assert found == expected
    assert found[-1] < found[0]
