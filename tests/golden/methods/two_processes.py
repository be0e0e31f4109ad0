"""Trains sparse models in one of two processes; the first also trains them without the other.

Arguments: methods with commas between, rank, directory. Alone, the two ranks are two copies of the
model whose gradients are averaged by hand after each mini-batch.
"""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path

import torch
from torch import nn

from gscn import golden

STEPS = 5


def build(method: str, rank: int) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.Flatten(), nn.Linear(64, 3)
    ).double()
    options = {} if method == "dst" else {"sparsity": 0.6}
    return golden.sparsify(model, method, seed=rank, **options)


def loss(model: nn.Module, parts: nn.Module, method: str, rank: int, step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(100 * rank + step)
    x = torch.randn(4, 2, 6, 6, dtype=torch.float64, generator=generator)
    value = model(x).square().sum()
    return value + 0.1 * golden.dst_penalty(parts) if method == "dst" else value


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)


def carried(model: nn.Module) -> dict[str, torch.Tensor]:
    parameters = dict(model.named_parameters())
    return {name: v for name, v in model.state_dict().items() if name not in parameters}


def parameters_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach() for name, value in model.named_parameters()}


def alone(method: str) -> dict[str, object]:
    models = [build(method, rank) for rank in range(2)]
    optimizers = [optimizer_of(model) for model in models]
    for step in range(STEPS):
        for rank, model in enumerate(models):
            model.zero_grad()
            loss(model, model, method, rank, step).backward()
        for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
            mean = (one.grad + other.grad) / 2
            one.grad, other.grad = mean, mean.clone()
        for optimizer in optimizers:
            optimizer.step()
    return {"parameters": parameters_of(models[0]), "states": [carried(m) for m in models]}


def main() -> None:
    methods, rank, directory = sys.argv[1].split(","), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{directory / 'meeting'}", rank=rank, world_size=2
    )
    for method in methods:
        if rank == 0:
            torch.save(alone(method), directory / f"{method}.alone.pt")
        torch.save(together(method, rank), directory / f"{method}.rank{rank}.pt")
    torch.distributed.destroy_process_group()


def together(method: str, rank: int) -> dict[str, object]:
    model = build(method, rank)
    parallel = nn.parallel.DistributedDataParallel(model)
    optimizer = optimizer_of(model)
    for step in range(STEPS):
        optimizer.zero_grad()
        loss(parallel, model, method, rank, step).backward()
        optimizer.step()
    return {"parameters": parameters_of(model), "state": carried(copy.deepcopy(model))}


if __name__ == "__main__":
    main()
    # A DistributedDataParallel that is gone still keeps gloo's threads, past the end of the group;
    # one that asks for the interpreter while that is taken down ends the process by SIGABRT.
    sys.stdout.flush()
    os._exit(0)
