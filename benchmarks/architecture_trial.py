"""One architecture of a library: its layers at full size, and a training step at a small one."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gscn.array import array
from gscn.golden.networks import libraries
from gscn.golden.networks.called import called
from gscn.golden.networks.sources import NamedModel, named_model, told
from gscn.golden.networks.survey import Survey, survey
from gscn.golden.traces.model_step import trace
from gscn.perf.estimate.training_step import Mode, estimate, to_json
from gscn.perf.workload.layers import network_of
from gscn.perf.workload.sparsification import Method, Sparsification
from gscn.system.cache import temporary_folder

METHODS = ("swat", "resprop", "dst")
ESTIMATED = (Method.SWAT, Method.RESPROP)
"""Of DST nobody says how sparse it will be."""
SPARSITY = 0.9
CONFIG = "large"
ESTIMATED_BATCH = 32
TRAINED_BATCH = 2
IMAGE_SIZES = (64, 128, None)
"""Of the training step, the first that the architecture takes; None: its own."""
TRACED_BYTES = 32 << 20
"""Of the operands and results of the layers that are traced, if there is more than one."""
TRACED_LAYERS = 12
_SHARED_ELEMENTS = 1 << 16
MOST_ESTIMATE_SECONDS = 60.0
"""Of processor time, so that it does not matter what else the machine does."""

LIMITS: dict[str, Any] = {
    "estimated_batch": ESTIMATED_BATCH,
    "config": CONFIG,
    "sparsity_percent": 100 * SPARSITY,
    "most_estimate_seconds": MOST_ESTIMATE_SECONDS,
    "methods": ", ".join(METHODS),
    "trained_batch": TRAINED_BATCH,
    "small": IMAGE_SIZES[0],
    "larger": IMAGE_SIZES[1],
    "traced_layers": TRACED_LAYERS,
    "traced_mib": TRACED_BYTES >> 20,
}
"""What the page says of trials."""

Row = dict[str, Any]

libraries.timm()  # once, before processes are forked off for each architecture


def measured(spec: str) -> Row:
    """Return what an architecture computes at its own size of images, and its estimates.

    Nothing is computed where it can be avoided: parameters have no values. An estimate is all that
    `gscn estimate` writes, a whole step where there is one. `problem` says what failed, if anything
    did.
    """
    row: Row = {}

    def make(values: bool) -> NamedModel:
        named = named_model(spec, batch=ESTIMATED_BATCH, values=values)
        row["parameters"] = sum(one.numel() for one in named.model.parameters())
        row["input"] = [list(one.shape) for one in named.inputs if isinstance(one, Tensor)]
        return named

    try:
        found = called(spec, make)
        surveyed = found.survey
        row |= {"layers": len(surveyed.layers), "macs": surveyed.macs}
        row["omitted"] = _omitted(surveyed)
        network = network_of(spec, surveyed)
        for method in ESTIMATED:
            start = time.process_time()
            result = estimate(
                network,
                array(CONFIG),
                Sparsification(method=method, sparsity=SPARSITY),
                mode=Mode.ANALYTIC,
            )
            data = to_json(dataclasses.replace(result, graph=found.graph))
            seconds = time.process_time() - start
            whole = data["whole_step"]
            row[f"estimate {method}"] = {
                "speedup": result.speedup(),
                "everything": whole.get("speedup_with_everything"),
                "seconds": seconds,
            }
            if seconds > MOST_ESTIMATE_SECONDS:
                row["problem"] = _problem(f"estimate {method}", f"took {seconds:.0f} s")
    except Exception as error:  # noqa: BLE001
        row["problem"] = _failed("layers and estimate", error)
    return row


def _omitted(found: Survey) -> list[Row]:
    """Return what is in no layer, by kind, the largest share first."""
    shares: dict[str, Row] = {}
    for one in found.omitted:
        row = shares.setdefault(one.kind, {"kind": one.kind, "share": 0.0, "count": 0})
        row["count"] += 1
        row["share"] = (
            None if one.share is None or row["share"] is None else row["share"] + one.share
        )
    return sorted(shares.values(), key=lambda row: -(1.0 if row["share"] is None else row["share"]))


def trained(spec: str, shared: bool) -> Row:
    """Return how an architecture takes a training step by each method, traced.

    It is made for small images, or if the step fails, for larger ones.

    Parameters
    ----------
    spec
        As of `golden.networks.sources.named_model`.
    shared
        Whether its weights share memory, as by `shared_weights`.
    """
    row: Row = {}
    for size in IMAGE_SIZES:
        row = _trained_at(size, spec, shared=shared)
        if "problem" not in row:
            break
    return row


def _trained_at(size: int | None, spec: str, *, shared: bool) -> Row:
    row: Row = {"methods": {}}
    torch.manual_seed(0)
    stage = "made"
    try:
        with shared_weights() if shared else contextlib.nullcontext():
            named = named_model(spec, batch=TRAINED_BATCH, image_size=size)
        (images,) = named.inputs
        row["image_size"] = images.shape[-1]
        images.normal_()
        found = survey(named.model, (images,))
        layers = chosen_layers(found)
        row["traced"] = len(layers)
        for method in METHODS:
            stage = f"step by {method}"
            options = options_of(method, found)
            row["methods"][method] = _step(named.model, images, method, layers, options)
    except Exception as error:  # noqa: BLE001
        row["problem"] = _failed(stage, error)
    return row


def options_of(method: str, found: Survey) -> dict[str, Any]:
    """Return the options with which a method takes the step of a network."""
    if method == "dst":
        return {}
    options: dict[str, Any] = {"sparsity": SPARSITY}
    if method == "resprop" and all(layer.linear for layer in found.layers):
        # As published it has no part in linear layers, and a network of nothing else is refused.
        options["linear_layers"] = "sparse"
    return options


def _step(
    model: nn.Module,
    images: Tensor,
    method: str,
    layers: Sequence[str],
    options: Mapping[str, Any],
) -> Row:
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as told_of, temporary_folder("trace") as place:
        warnings.simplefilter("always")
        written = trace(model, (images,), place / "trace", method=method, layers=layers, **options)
    return {
        "calls": len(written.entries),
        "passes": sum(len(one.densities) for one in written.entries.values()),
        "seconds": time.perf_counter() - start,
        "warnings": sorted({str(one.message)[:300] for one in told_of}),
    }


def chosen_layers(found: Survey) -> list[str]:
    """Return a layer of each shape, the smallest first, within `TRACED_BYTES` and `TRACED_LAYERS`.

    There is at least one. Of more shapes than that every second one is taken, or every third.
    """
    by_shape: dict[Any, Any] = {}
    for layer in found.layers:
        by_shape.setdefault((layer.shape, layer.linear), layer)
    ordered = sorted(by_shape.values(), key=_passes_bytes)
    chosen, total = [], 0
    for layer in ordered[:: -(-len(ordered) // TRACED_LAYERS)]:
        total += _passes_bytes(layer)
        if chosen and total > TRACED_BYTES:
            break
        chosen.append((layer.shares or layer.name).split("#")[0])
    return list(dict.fromkeys(chosen))


def _passes_bytes(layer: Any) -> int:
    shape = layer.shape
    sizes = (shape.x_shape, shape.w_shape, shape.y_shape)
    return 3 * 4 * sum(torch.Size(one).numel() for one in sizes)


@contextlib.contextmanager
def shared_weights() -> Iterator[None]:
    """Let modules made inside have the same memory for all their large weights of one shape.

    So that networks of billions of parameters compute in little memory all that they would compute
    otherwise.
    """
    kept: dict[tuple[torch.Size, torch.dtype], Tensor] = {}
    shared: set[int] = set()

    def register(_: nn.Module, __: str, parameter: nn.Parameter | None) -> nn.Parameter | None:
        if parameter is None or parameter.numel() < _SHARED_ELEMENTS or parameter.is_meta:
            return None
        values = kept.setdefault((parameter.shape, parameter.dtype), parameter.data)
        if values.data_ptr() != parameter.data_ptr():
            shared.add(values.untyped_storage()._cdata)
            parameter.data = values
        return parameter

    handle = nn.modules.module.register_module_parameter_registration_hook(register)
    try:
        with _DrawnOnce(shared):
            yield
    finally:
        handle.remove()


class _DrawnOnce(TorchFunctionMode):
    """Leaves values alone that another weight of the same memory has already."""

    def __init__(self, shared: set[int]) -> None:
        super().__init__()
        self._shared = shared

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Call a function of torch unless it would change shared values in place."""
        name = getattr(func, "__name__", "")
        if (
            name.endswith("_")
            and not name.endswith("__")
            and args
            and isinstance(args[0], Tensor)
            and name != "requires_grad_"
            and not args[0].is_meta
            and args[0].untyped_storage()._cdata in self._shared
        ):
            return args[0]
        return func(*args, **(kwargs or {}))


def _failed(stage: str, error: Exception) -> Row:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return _problem(stage, told(error), f"{Path(where.filename).name}:{where.lineno}")


def _problem(stage: str, text: str, where: str = "") -> Row:
    return {"stage": stage, "text": text[:400], "where": where}
