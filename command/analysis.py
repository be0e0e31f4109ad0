"""`gscn.analyse`: what the accelerator makes of a model, in one call.

The same as `gscn estimate`, from Python.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gscn.array import ArrayConfig, array
from gscn.command.estimate_text import estimate_text
from gscn.command.result import json_text
from gscn.errors import InputError
from gscn.perf.estimate.training_step import Mode, NetworkEstimate, estimate, to_json
from gscn.perf.workload.layers import Network
from gscn.perf.workload.models import ReadModel, model_of_module, read_model
from gscn.perf.workload.network_file import network_table
from gscn.perf.workload.sparsification import Method, Sparsification
from gscn.system.files import write_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Analysis:
    """An estimate of a training step of a model; as text it is the tables that are printed."""

    estimate: NetworkEstimate
    """Cycles and bytes of every pass of every layer."""
    data: dict[str, Any]
    """The same as plain JSON values: what `gscn estimate --json` writes."""

    @classmethod
    def of(cls, result: NetworkEstimate) -> Analysis:
        """Return an estimate with what is made of it."""
        return cls(estimate=result, data=to_json(result))

    @property
    def network(self) -> Network:
        """The table of layers that the estimate is of."""
        return self.estimate.network

    def __str__(self) -> str:
        return estimate_text(self.data, self.data["assumptions"])

    def table_text(self) -> str:
        """Return the network's table as JSON: what `gscn estimate --export` writes."""
        return json.dumps(network_table(self.network), indent=1) + "\n"

    def page(self) -> str:
        """Return a page with drawings, HTML: what `gscn estimate --report` writes."""
        from gscn.perf.report.build import model_page

        return model_page(self.data)

    def save(
        self,
        *,
        json: Path | str | None = None,
        export: Path | str | None = None,
        report: Path | str | None = None,
    ) -> None:
        """Write files, as the options of `gscn estimate` with these names do.

        Raises
        ------
        OutputError
            A file cannot be written.
        """
        made = ((json, lambda: json_text(self.data)), (export, self.table_text))
        for path, text in (*made, (report, self.page)):
            if path is not None:
                write_text(Path(path), text())


def analyse(
    model: Any,
    inputs: Any = None,
    *,
    method: str | Sparsification = "swat",
    sparsity: float = 0.9,
    batch: int | None = None,
    image_size: int | None = None,
    config: str | ArrayConfig = "large",
    mode: Mode | str = Mode.ANALYTIC,
    **options: Any,
) -> Analysis:
    """Estimate a training step of a model on the accelerator, beside a dense array of its size.

    Parameters
    ----------
    model
        A module of torch, which is left as it was; the text or the path of any of the forms of
        `perf.workload.models`; or a table of layers.
    inputs
        With a module: what it is called with, a tensor or a tuple, of which the shapes count; or
        the shape of one tensor, batch first.
    method
        dense, swat, resprop or swat+resprop; or a method with all of its densities, for which
        `sparsity` is not used.
    sparsity
        Share that the method zeroes, at least 0 and less than 1.
    batch, image_size
        Images, and their height and width in pixels, of a model that is named; by default those
        of its source, else 32 images of the size that is customary for it.
    config
        The accelerator, or the name of a preset.
    mode
        analytic, a closed form, at once; or statistical, samples on the cycle model: minutes.
    **options
        Of `perf.estimate.training_step.estimate`: rivals, clock_hz, dram, sampling.

    Raises
    ------
    InputError
        There is no such model, a file is wrong, a module does not take the inputs or has no layer
        with a product, or an option is out of range.
    """
    found = _read(model, inputs, batch, image_size)
    if not isinstance(method, Sparsification):
        try:
            method = Sparsification(method=Method(method), sparsity=sparsity)
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            known = ", ".join(Method)
            raise InputError(f"method must be one of {known}, not {method!r}") from error
    chosen = config if isinstance(config, ArrayConfig) else array(config)
    result = estimate(found.network, chosen, method, mode=mode, **options)
    return Analysis.of(dataclasses.replace(result, graph=found.graph, unknown=found.unknown))


def _read(model: Any, inputs: Any, batch: int | None, image_size: int | None) -> ReadModel:
    """Return the network that a model is."""
    if isinstance(model, str | Path | Network):
        if inputs is not None:
            raise InputError("inputs must be given with a module of torch alone")
        if isinstance(model, Network):
            return ReadModel(network=model)
        return read_model(model, batch=batch, image_size=image_size)
    import torch

    if not isinstance(model, torch.nn.Module):
        raise InputError(
            f"a model must be a module of torch, a text, a path or a table, not {type(model)}"
        )
    if inputs is None or (batch, image_size) != (None, None):
        raise InputError(
            "a module of torch must be given with inputs for it, and these have the batch and the "
            "size: analyse(model, torch.zeros(32, 3, 224, 224))"
        )
    if _is_shape(inputs):
        inputs = torch.zeros(tuple(inputs), device="meta")
    return model_of_module(model, inputs)


def _is_shape(inputs: object) -> bool:
    return isinstance(inputs, Sequence) and bool(inputs) and all(type(n) is int for n in inputs)
