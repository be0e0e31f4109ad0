"""The sources of this project, as they were read: results that are kept follow from them."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path


def room(name: str) -> Path:
    """Return the folder of a room of the package, in a checkout or as it is installed.

    Parameters
    ----------
    name
        `gscn` for the vocabulary, or what follows `gscn.` in an import, such as `hw`.
    """
    module = name if name == "gscn" else f"gscn.{name}"
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"{module} is no room"
    assert spec.origin is not None, f"{module} has no __init__.py"
    return Path(spec.origin).parent


def source_digest(
    rooms: Sequence[str],
    *,
    root: Path | None = None,
    suffixes: Sequence[str] = (".py",),
    without: tuple[str, ...] = (),
) -> str:
    """Return 16 hexadecimal digits that change with any source of some rooms.

    Parameters
    ----------
    rooms
        As in `room`.
    root
        Folder that has the rooms, for tests; by default where each room is.
    suffixes
        What names of sources end with.
    without
        Beginnings of names, such as `perf/report/`, of sources that do not matter.
    """
    digest = hashlib.sha256()
    for name in rooms:
        folder = room(name) if root is None else root / name
        # Installed, the other rooms are folders of the vocabulary.
        for path in sorted(folder.glob("*") if name == "gscn" else folder.rglob("*")):
            label = f"{name}/{path.relative_to(folder).as_posix()}"
            if path.suffix in suffixes and not label.startswith(without or ("\0",)):
                digest.update(f"{label}\0".encode())
                digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
