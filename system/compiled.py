"""Compile numeric functions, and keep the machine code until any of their sources changes.

numba's own cache looks only at the file of the function it stores, not at those of the functions
compiled into it: a changed callee would go unnoticed. Here the folder is named after the text of
all packages that hold compiled functions. It lies in the user's cache folder (`system.cache`),
since what is loaded from it is executed, and each file begins with the digest of its content: one
that is damaged is as good as none.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import pickle
import platform
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numba.core.config
from numba.core import serialize
from numba.core.caching import CompileResultCacheImpl, NullCache

from gscn.system.cache import ORPHAN_SECONDS, cache_folder, private_folder, remove
from gscn.system.errors import InputError
from gscn.system.sources import source_digest

ROOMS = ("gscn", "golden", "lowering", "emulator", "cycles", "perf")
"""Rooms with compiled functions."""
_FOLDER = "numba"
UNUSED_SECONDS = 30 * 24 * 3600
"""Age at which the machine code of other sources is removed."""

# numba reads its settings from a file of the current directory, again and again.
numba.core.config._config_fname = os.devnull
numba.core.config.reload_config()

logger = logging.getLogger(__name__)


@functools.cache
def code_folder() -> Path | None:
    """Return the folder for machine code of these sources; None, with a warning, if it is unsafe.

    Code of other sources that has not been used for long is removed, and what killed processes
    left.
    """
    try:
        parent = private_folder(cache_folder() / _FOLDER)
        folder = private_folder(parent / source_digest(ROOMS))
    except InputError as error:
        logger.warning("compiled functions are not kept: %s", error)
        return None
    try:
        os.utime(folder)
        for other in parent.iterdir():
            if other.stat().st_mtime < time.time() - UNUSED_SECONDS:
                remove(other)
        for unfinished in folder.glob(".*"):
            if unfinished.stat().st_mtime < time.time() - ORPHAN_SECONDS:
                remove(unfinished)
    except OSError:  # on a file system that cannot be written to, what is there is used
        pass
    return folder


class _KeptCode(NullCache):
    """Cache of a function's machine code, a file for each signature; numba calls it."""

    def __init__(self, function: Callable) -> None:
        self._function = function

    @property
    def cache_path(self) -> str | None:
        folder = code_folder()
        return None if folder is None else str(folder)

    def load_overload(self, sig: object, target_context: Any) -> object | None:
        """Return the compiled function of a signature, or None."""
        target_context.refresh()
        path = self._path(sig, target_context.codegen())
        if path is None:
            return None
        try:
            content = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            logger.info("%s is damaged: compiled again", path)
            return None
        return CompileResultCacheImpl.rebuild(self, target_context, pickle.loads(content[32:]))

    def save_overload(self, sig: object, data: Any) -> None:
        """Keep a compiled function, if it can be kept and there is room."""
        path = self._path(sig, data.codegen)
        if path is None or any(not lifted.can_cache for lifted in data.lifted):
            return
        if data.library.has_dynamic_globals:
            return
        content = serialize.dumps(CompileResultCacheImpl.reduce(self, data))
        try:
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                temporary = Path(file.name)
                try:
                    file.write(hashlib.sha256(content).digest() + content)
                    file.flush()
                    temporary.replace(path)
                except BaseException:
                    temporary.unlink(missing_ok=True)
                    raise
        except OSError as error:
            logger.info("a compiled function is not kept: %s", error)

    def _path(self, sig: object, codegen: Any) -> Path | None:
        folder = code_folder()
        if folder is None:
            return None
        function = self._function
        code = function.__code__
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        about = (
            numba.__version__, platform.python_version(), function.__module__,
            function.__qualname__, code.co_firstlineno, code.co_code, serialize.dumps(cells),
            str(sig), codegen.magic_tuple(),
        )  # fmt: skip
        name = re.sub(r"\W", "_", f"{function.__module__}.{function.__qualname__}", flags=re.ASCII)
        return folder / f"{name[-80:]}-{hashlib.sha256(repr(about).encode()).hexdigest()[:32]}"


def compiled(function: Callable | None = None, **options: Any) -> Callable:
    """Compile a function with numba, without the interpreter, cached; use as a decorator.

    Parameters
    ----------
    function
        The function; absent if options are given.
    **options
        Passed to `numba.njit`, for instance `inline="always"`.
    """

    def decorate(function: Callable) -> Callable:
        dispatcher = numba.njit(**options)(function)
        # As `enable_caching` does; numba has no other way to say where and how.
        dispatcher._cache = _KeptCode(function)
        return dispatcher

    return decorate if function is None else decorate(function)


def borrowing(function: Callable) -> Callable:
    """Compile a function that only works on the arrays that it is given, and makes none.

    As `compiled`, but without counting references to arrays, which costs several times the work of
    a function that is called in every cycle of a simulation, and into its callers, so that sizes
    and addresses stay in registers. What makes an array is refused when it is compiled.
    """
    return compiled(_nrt=False, forceinline=True)(function)
