"""Results of launches on disk: operands, result and everything needed to check them again."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.cosim.layer import PassInput, PassOutcome
from gscn.enums import takes_text
from gscn.errors import InputError, OutputError
from gscn.formats import FLOAT32, FLOAT_OPERAND_FORMATS, FloatFormat
from gscn.golden.oracle.floats import check_codes
from gscn.golden.oracle.quantize import check_range
from gscn.records import MOST_SHIFT
from gscn.system.archives import Arrays, open_arrays
from gscn.system.files import writing
from gscn.system.reading import parse_json, shown

FORMAT_VERSION = 2
"""Version 1 was of another accelerator, whose configuration had other fields."""
_WHAT = "saved result"
_ARRAYS = ("first", "second", "result")
_FIELDS = frozenset(
    {
        *("format_version", "layer", "shape", "pass", "output_width", "shift", "format"),
        *("result_format", "config", "config_digest"),
    }
)
_WIDTHS = (8, 16, 32)
_MOST_BYTES = 1 << 30
"""Of all arrays, as they are in memory."""
_MOST_ABOUT_BYTES = 1 << 20
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
    config: ArrayConfig


def save_result(directory: Path, outcome: PassOutcome, config: ArrayConfig) -> Path:
    """Write the operands and the result of a pass; see `save_results`."""
    (path,) = save_results(directory, [outcome], config)
    return path


def save_results(
    directory: Path, outcomes: Sequence[PassOutcome], config: ArrayConfig
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


def _about(outcome: PassOutcome, config: ArrayConfig) -> dict[str, object]:
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


def _format(name: object) -> FloatFormat | None:
    if name is not None and (not isinstance(name, str) or name not in _FORMATS):
        raise ValueError(f"format must be one of {', '.join(_FORMATS)}, not {shown(name)}")
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
        with open_arrays(path, _WHAT, compressed=True, most_bytes=_MOST_BYTES) as arrays:
            saved, digest = _parse(_read_about(arrays), arrays)
    except ValueError as error:
        raise InputError(f"{path} must be a saved result, whole and unchanged: {error}") from error
    if digest != saved.config.digest():
        raise InputError(
            f"{path} must be of configuration {saved.config.digest()} that it states, "
            f"not {shown(digest)}"
        )
    return saved


def _read_about(arrays: Arrays) -> object:
    header = arrays.require("about")
    if header.dtype.kind != "U" or header.shape or header.dtype.itemsize > _MOST_ABOUT_BYTES:
        raise ValueError("about must be a text")
    # Numbers that are no characters, or half of one, are a ValueError in here.
    return parse_json(str(arrays.read("about")).encode("utf-8"), "about")


def _parse(about: object, arrays: Arrays) -> tuple[SavedResult, object]:
    """Return a result and the digest that its file states; raise `ValueError` for what is wrong."""
    if not isinstance(about, dict):
        raise ValueError("about must be an object")
    missing = sorted(_FIELDS - about.keys())
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    if about["format_version"] != FORMAT_VERSION:
        raise ValueError(
            f"format version must be {FORMAT_VERSION}, not {shown(about['format_version'])}"
        )
    if not isinstance(about["config"], dict):
        raise ValueError("config must be an object")
    config = ArrayConfig.from_dict(about["config"])
    if not isinstance(about["shape"], dict):
        raise ValueError("shape must be an object")
    sizes = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in about["shape"].items()
    }
    unknown = sorted(sizes.keys() ^ {field.name for field in dataclasses.fields(ConvShape)})
    if unknown:
        raise ValueError(f"shape must be of a convolution's fields; {shown(unknown[0])} differs")
    shape = ConvShape(**sizes)
    if about["pass"] not in list(Pass):
        raise ValueError(f"pass must be one of {', '.join(Pass)}, not {shown(about['pass'])}")
    which = Pass(about["pass"])
    fmt, result_format = _format(about["format"]), _format(about["result_format"])
    if (fmt is None) != (result_format is None) or about["format"] == FLOAT32.name:
        raise ValueError("operands and result must both be integers, or both in floating point")
    for name, choices in (("output_width", _WIDTHS), ("shift", range(MOST_SHIFT + 1))):
        if type(about[name]) is not int or about[name] not in choices:
            raise ValueError(f"{name} must be a number of the format, not {shown(about[name])}")
    if not isinstance(about["layer"], str):
        raise ValueError(f"layer must be text, not {shown(about['layer'])}")
    wanted = (*shape.operand_shapes(which), shape.result_shape(which))
    for name, size in zip(_ARRAYS, wanted, strict=True):
        header = arrays.require(name)
        if header.shape != size or header.dtype.kind not in "iu":
            raise ValueError(
                f"{name} must be whole numbers of shape {size}, "
                f"not {header.dtype} of shape {header.shape}"
            )
    first, second, result = (arrays.read(name) for name in _ARRAYS)
    source = PassInput(
        layer=about["layer"], shape=shape, which=which, first=first, second=second, fmt=fmt
    )
    for operand, array in (("first operand", first), ("second operand", second)):
        if fmt is None:
            check_range(array, config.format, operand)
        else:
            check_codes(array, fmt, operand)
    saved = SavedResult(
        source=source,
        output_width=about["output_width"],
        shift=about["shift"],
        result_format=result_format,
        result=result,
        config=config,
    )
    return saved, about["config_digest"]
