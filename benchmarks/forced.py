"""Plans as they would be if some choice of the driver were taken from it, for experiments.

Nothing here is part of the driver: its functions are replaced for as long as a context lasts, and
all plans are forgotten at either end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from benchmarks.rtl import LATENCY
from gscn.array import ArrayConfig
from gscn.cosim.layer import PassInput
from gscn.cycles.passes import simulate_passes
from gscn.errors import InputError
from gscn.lowering import grad_plan, pass_image
from gscn.lowering.estimates import NEVER, gang_size
from gscn.lowering.grad_plan import GradPlan
from gscn.lowering.plan import PassPlan, forget_plans, plan_pass
from gscn.outputs import OutputFormat

OUT = OutputFormat(width=16, shift=0)
SMALLER = 3
"""Halvings of the accumulators that are tried without teams."""


@contextlib.contextmanager
def _replaced(name: str, value: Callable[..., Any]) -> Iterator[None]:
    """Replace a function of `gscn.lowering.grad_plan`."""
    forget_plans()
    with mock.patch.object(grad_plan, name, value):
        yield
    forget_plans()


@contextlib.contextmanager
def holding(*, inputs: bool) -> Iterator[None]:
    """Let weight gradients hold inputs, or output gradients, wherever either is possible."""
    real, turns = grad_plan.plan_grad, itertools.count()

    def plan_grad(sizes: Any, work: Any, *rest: Any) -> Any:
        # with a step of the stream inputs alone can be held; else they are tried first
        if work.step == 1 and (next(turns) % 2 == 0) != inputs:
            return (NEVER,)
        return real(sizes, work, *rest)

    with _replaced("plan_grad", plan_grad):
        yield


@contextlib.contextmanager
def tap_passes(rows: int | None, cols: int | None) -> Iterator[None]:
    """Let weight gradients have so many tap rows and columns to a pass; None: a kernel's all."""

    def most_taps(_: Any, shape: Any) -> list[tuple[int, int, bool]]:
        return [(min(shape.r, rows or shape.r), min(shape.s, cols or shape.s), True)]

    with _replaced("most_taps", most_taps):
        yield


def without_teams(config: ArrayConfig, one: PassInput, level: int = 0) -> list[PassPlan]:
    """Return plans of a weight gradient without teams: tiles as with teams, and smaller ones.

    Smaller are those that there would be with a half, a quarter and an eighth of the accumulators.
    `level` is as of `gscn.lowering.plan.plan_pass`.
    """
    found = []
    for halvings in range(SMALLER + 1):
        smaller = dataclasses.replace(config, acc_depth=config.acc_depth >> halvings)
        try:
            planned = planned_for(smaller, one, level)
        except InputError:
            break
        parts = tuple(_alone(part, config.clusters) for part in planned.parts)
        found.append(dataclasses.replace(planned, config=config, parts=parts))
    return list(dict.fromkeys(found))


def _alone(part: GradPlan, clusters: int) -> GradPlan:
    gang = gang_size(clusters, part.stationary.groups)
    choice = part.choice._replace(team=1, gang=gang, tile_samples=part.work.samples, unit_rows=0)
    return part._replace(choice=choice)


def planned_for(config: ArrayConfig, one: PassInput, level: int = 0) -> PassPlan:
    """Return the plan of a pass by its shape and densities."""
    densities = (float((one.first != 0).mean()), float((one.second != 0).mean()))
    return plan_pass(config, one.shape, one.which, densities, out_bytes=OUT.width // 8, level=level)


def cycles_of(config: ArrayConfig, one: PassInput, planned: PassPlan | None = None) -> int:
    """Return the cycles of a pass by the cycle model, by its own plan or by another."""
    context = mock.patch.object(pass_image, "plan_pass", return_value=planned)
    with context if planned else contextlib.nullcontext():
        image = pass_image.lower_pass(config, one.shape, one.which, one.first, one.second, OUT)
    model = simulate_passes(
        config, image.image, image.descriptors_addr, image.descriptor_count, image.memory_bytes,
        latency=LATENCY,
    )  # fmt: skip
    return model.cycles
