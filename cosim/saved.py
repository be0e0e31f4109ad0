"""Results of launches on disk: operands, result and everything needed to check them again."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosim.layer import PassInput, PassOutcome
from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError, OutputError
from gscn.files import writing
from gscn.formats import FLOAT32, FLOAT_OPERAND_FORMATS, FloatFormat

FORMAT_VERSION = 1
_FORMATS = {FLOAT32.name: FLOAT32, **FLOAT_OPERAND_FORMATS}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SavedResult:
    """A result read back from a file."""

    source: PassInput
    output_width: int
    shift: int
    result_format: FloatFormat | None
    """Of results in floating point."""
    result: np.ndarray
    config: AcceleratorConfig


def save_result(directory: Path, outcome: PassOutcome, config: AcceleratorConfig) -> Path:
    """Write the operands and the result of a pass; see `save_results`."""
    (path,) = save_results(directory, [outcome], config)
    return path


def save_results(
    directory: Path, outcomes: Sequence[PassOutcome], config: AcceleratorConfig
) -> list[Path]:
    """Write operands and result of passes, each to `<layer>.<pass>.npz`.

    All files appear whole, or none.

    Parameters
    ----------
    directory
        Made if missing.
    outcomes
        What was computed.
    config
        Configuration that computed it.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    paths = []
    try:
        with contextlib.ExitStack() as stack:
            for outcome in outcomes:
                source = outcome.source
                paths.append(directory / f"{source.layer.replace('/', '_')}.{source.which}.npz")
                file = stack.enter_context(writing(paths[-1]))
                np.savez_compressed(
                    file,
                    about=np.array(json.dumps(_about(outcome, config))),
                    first=source.first,
                    second=source.second,
                    result=outcome.result,
                )
                file.close()  # there may be more passes than a process may have files open
    except OutputError as error:
        raise OutputError(f"saved result {error}") from error
    return paths


def _about(outcome: PassOutcome, config: AcceleratorConfig) -> dict[str, object]:
    source = outcome.source
    return {
        "format_version": FORMAT_VERSION,
        "layer": source.layer,
        "shape": dataclasses.asdict(source.shape),
        "pass": str(source.which),
        "output_width": outcome.output_width,
        "shift": outcome.shift,
        "format": source.fmt and source.fmt.name,
        "result_format": outcome.result_format and outcome.result_format.name,
        "config": config.to_dict(),
        "config_digest": config.digest(),
    }


def _format(name: str | None) -> FloatFormat | None:
    return None if name is None else _FORMATS[name]


def load_result(path: Path) -> SavedResult:
    """Read a saved result.

    Parameters
    ----------
    path
        File of `save_result`.

    Raises
    ------
    InputError
        Missing, cut short, damaged or inconsistent file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"saved result must be a readable file, not {path}: {error}") from error
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            about: dict[str, Any] = json.loads(str(arrays["about"]))
            first, second, result = (arrays[name] for name in ("first", "second", "result"))
        version = about["format_version"]
        if version != FORMAT_VERSION:
            raise InputError(f"{path} must have format version {FORMAT_VERSION}, not {version!r}")
        config = AcceleratorConfig.from_dict(about["config"])
        pairs = ("stride", "padding", "dilation")
        shape = ConvShape(
            **{**about["shape"], **{name: tuple(about["shape"][name]) for name in pairs}}
        )
        saved = SavedResult(
            source=PassInput(
                layer=about["layer"],
                shape=shape,
                which=Pass(about["pass"]),
                first=first,
                second=second,
                # files from before there was floating point do not say
                fmt=_format(about.get("format")),
            ),
            output_width=int(about["output_width"]),
            shift=int(about["shift"]),
            result_format=_format(about.get("result_format")),
            result=result,
            config=config,
        )
        digest = about["config_digest"]
    except InputError:
        raise
    # What the many formats inside a damaged file raise is not documented; all of it is the file's.
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} must be a saved result, whole and unchanged: {error!r}"
        ) from error
    if digest != config.digest():
        raise InputError(
            f"{path} must be of configuration {config.digest()} that it states, not {digest}"
        )
    return saved
