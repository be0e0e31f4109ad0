"""Compile numeric functions, and keep the machine code until any of their sources changes.

numba's own cache looks only at the file of the function it stores, not at those of the functions
compiled into it: a changed callee would go unnoticed. Here the cache directory is named after the
text of all packages that hold compiled functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("golden", "lowering", "perf")
"""Packages with compiled functions."""


def source_digest(root: Path = _ROOT) -> str:
    """Return 16 hexadecimal digits that change with any source of the packages below `root`."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(f"{path.relative_to(root)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


numba.config.CACHE_DIR = str(Path("build", "numba", source_digest()).resolve())


def compiled(function: Callable | None = None, **options: Any) -> Callable:
    """Compile a function with numba, without the interpreter, cached; use as a decorator.

    Parameters
    ----------
    function
        The function; absent if options are given.
    **options
        Passed to `numba.njit`, for instance `inline="always"`.
    """
    decorate = numba.njit(cache=True, **options)
    return decorate if function is None else decorate(function)
