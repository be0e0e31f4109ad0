"""Results of launches on disk: operands, result and everything needed to check them again."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosim.layer import PassInput, PassOutcome
from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import FLOAT32, FLOAT_OPERAND_FORMATS, FloatFormat

FORMAT_VERSION = 1
_FORMATS = {FLOAT32.name: FLOAT32, **FLOAT_OPERAND_FORMATS}


@takes_text
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
    """Write the operands and the result of a pass to `<layer>.<pass>.npz`.

    The file appears whole or not at all.

    Parameters
    ----------
    directory
        Made if missing.
    outcome
        What was computed.
    config
        Configuration that computed it.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    source = outcome.source
    about = {
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
    path = directory / f"{source.layer.replace('/', '_')}.{source.which}.npz"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".", delete=False) as file:
            temporary = Path(file.name)
            np.savez_compressed(
                file,
                about=np.array(json.dumps(about)),
                first=source.first,
                second=source.second,
                result=outcome.result,
            )
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"result directory {directory} cannot be written: {error}") from error
    return path


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
