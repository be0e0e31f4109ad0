"""Files written so that a reader sees the old content or all of the new."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from gscn.errors import InputError


def write_text(path: Path, text: str) -> None:
    """Replace a file, whose folder is made if need be.

    Raises
    ------
    InputError
        It cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
        ) as file:
            temporary = Path(file.name)
            file.write(text)
        # A temporary file is private to its owner; the result gets the usual permissions.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise InputError(f"{path} must be a file that can be written: {error}") from error
