"""Files that a user names, read within bounds: regular files only, of a size that is expected.

Nothing here trusts a file: a pipe or a device is refused before it could block, a size before it
is read, and JSON before it could exceed the interpreter's stack or memory.
"""

from __future__ import annotations

import json
import math
import os
import re
import reprlib
import stat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gscn.system.errors import InputError

MOST_JSON_BYTES = 16 << 20
"""Parsed, a text of this size takes some 400 MB at the worst."""
MOST_JSON_DEPTH = 64
MOST_INTEGER = (1 << 63) - 1
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_MOST_SHOWN = 200
_MOST_PATH = 4096
"""Of a name that the system knows."""
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 120
_REPR.maxlong = 40


def shown(value: object) -> str:
    """Return a value as messages show it, cut short if it is long."""
    text = _REPR.repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def is_folder(path: Path | str) -> bool:
    """Return whether there is such a folder; no name is an error."""
    # Path.is_dir raises for names that are too long, or in folders that are closed to the user.
    return os.path.isdir(path)  # noqa: PTH112


def is_there(path: Path | str) -> bool:
    """Return whether there is such a file, folder or other thing; no name is an error."""
    return os.path.exists(path)  # noqa: PTH110


def is_regular(path: Path | str) -> bool:
    """Return whether there is such a file, no pipe nor device; no name is an error."""
    return os.path.isfile(path)  # noqa: PTH113


def open_regular(path: Path | str, what: str) -> BinaryIO:
    """Open a file to read bytes; a pipe or a device is refused and never waited for.

    Parameters
    ----------
    path
        The file.
    what
        What it is, for the message: "network file".

    Raises
    ------
    InputError
        It is missing, unreadable, or no regular file.
    """
    try:
        # Looked at before it is opened: opening some devices has effects.
        _require_regular(os.stat(path).st_mode, path, what)  # noqa: PTH116  (any str, see below)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            _require_regular(os.fstat(descriptor).st_mode, path, what)
        except InputError:
            os.close(descriptor)
            raise
    except InputError:
        raise
    # A name with a null character is a ValueError.
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise InputError(f"{what} {shown_path(path)} must be a readable file: {reason}") from error
    return os.fdopen(descriptor, "rb")


def shown_path(path: Path | str) -> str:
    """Return a path as messages show it: a name that the system refuses may be very long."""
    text = str(path)
    return text if len(text) <= _MOST_PATH else f"{text[:_MOST_SHOWN]}..."


def _require_regular(mode: int, path: Path | str, what: str) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise InputError(f"{what} {shown_path(path)} must be a regular file, not {kind}")


def read_bytes(path: Path | str, what: str, *, most_bytes: int) -> bytes:
    """Return the content of a file.

    Parameters
    ----------
    path, what
        As of `open_regular`.
    most_bytes
        Largest size accepted.

    Raises
    ------
    InputError
        As of `open_regular`, or the file is larger.
    """
    with open_regular(path, what) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            # A read takes the memory that it is told of, whatever the file has.
            content = file.read(size + 1) if size <= most_bytes else b""
            if len(content) > size:
                # Some systems' files have more than the size that they state.
                content += file.read(most_bytes + 1 - len(content))
        except OSError as error:
            raise InputError(f"{what} {path} must be a readable file: {error.strerror}") from error
    if max(size, len(content)) > most_bytes:
        raise InputError(
            f"{what} {path} must have at most {most_bytes} bytes, not {max(size, len(content))}"
        )
    return content


def read_text(path: Path | str, what: str, *, most_bytes: int) -> str:
    """Return the content of a file as text; parameters and errors as of `read_bytes`.

    Raises
    ------
    InputError
        As of `read_bytes`, or the content is not UTF-8.
    """
    content = read_bytes(path, what, most_bytes=most_bytes)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{what} {path} must be UTF-8 text: {error}") from error


def read_json(path: Path | str, what: str, *, most_bytes: int = MOST_JSON_BYTES) -> object:
    """Return what a JSON file holds; see `parse_json`.

    Raises
    ------
    InputError
        As of `read_bytes` and `parse_json`.
    """
    return parse_json(read_bytes(path, what, most_bytes=most_bytes), f"{what} {path}")


def read_object(path: Path | str, what: str) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises
    ------
    InputError
        As of `read_json`, or it holds something else.
    """
    found = read_json(path, what)
    if not isinstance(found, dict):
        raise InputError(f"{what} {path} must hold an object, not {shown(found)}")
    return found


def parse_json(content: bytes, what: str) -> object:
    """Return what JSON holds.

    Refused besides what is no JSON: NaN and infinities, numbers beyond a double or 64 bits, a key
    that an object has twice, nesting of more than `MOST_JSON_DEPTH`.

    Parameters
    ----------
    content
        UTF-8.
    what
        What it is, for the message.

    Raises
    ------
    InputError
        Naming what is wrong.
    """
    try:
        _require_depth(content)
        return json.loads(
            content.decode("utf-8"),
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} must be readable JSON: {error}") from error


def _require_depth(content: bytes) -> None:
    text = np.frombuffer(_STRING.sub(b"", content), np.uint8)
    opened = (text == ord("[")) | (text == ord("{"))
    closed = (text == ord("]")) | (text == ord("}"))
    depths = np.cumsum(opened.astype(np.int8) - closed.astype(np.int8), dtype=np.int32)
    if depths.size and depths.max() > MOST_JSON_DEPTH:
        raise ValueError(f"nesting must be at most {MOST_JSON_DEPTH}, not {depths.max()}")


def _integer(text: str) -> int:
    # Digits are counted first: converting very many of them takes long.
    if len(text) > 20 or abs(int(text)) > MOST_INTEGER:
        raise ValueError(f"whole numbers must have at most 64 bits, not {shown(text)}")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"numbers must be finite, not {shown(text)}")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"numbers must be finite, not {name}")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"a key must occur once in an object, not twice: {shown(repeated)}")
    return found
