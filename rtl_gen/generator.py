"""Write the array's Verilog, manifest and companion files, only if something changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from gscn.array import ArrayConfig
from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.driver.sources import c_files
from gscn.errors import InputError, OutputError
from gscn.rtl_gen.array_verilog import (
    CreateComponent,
    Kind,
    array_verilog,
    kept_name,
)
from gscn.rtl_gen.heading import with_heading
from gscn.rtl_gen.kept import source_digest, tool_versions
from gscn.rtl_gen.manifest import MANIFEST_FILE, Manifest, Port, load_manifest
from gscn.rtl_gen.packaging import companions
from gscn.rtl_gen.rams import guarded, ram_modules
from gscn.rtl_gen.registers import (
    C_HEADER,
    PYTHON_MODULE,
    c_header,
    error_meanings,
    python_module,
)
from gscn.rtl_gen.svd import SVD, svd
from gscn.rtl_gen.system_rdl import SYSTEM_RDL, system_rdl
from gscn.rtl_gen.verilog import VerilogModule
from gscn.system.files import try_folder, write_files


def _current(config: ArrayConfig, out_dir: Path, module: str, sources: str) -> Manifest | None:
    """Return the manifest in `out_dir` if it and its Verilog are what would be generated."""
    if not (out_dir / MANIFEST_FILE).is_file():
        return None
    try:
        manifest = load_manifest(out_dir)
    except InputError:
        return None
    if manifest.module != module or manifest.source_digest != sources:
        return None
    if manifest.config != config:
        return None
    digests = {manifest.verilog.name: manifest.verilog_digest, **manifest.companions}
    for name, digest in digests.items():
        path = out_dir / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return None
    return manifest


def generate(
    config: ArrayConfig,
    out_dir: Path,
    *,
    lists: bool = False,
    create: CreateComponent | None = None,
) -> Manifest:
    """Write `gscn_top.v` and the files that go with it for a configuration.

    These are `manifest.json`, a FuseSoC core file, a component of IP-XACT, an example of an
    instance, timing constraints and the waivers of lint.

    Files are replaced only if their content changes: all of them, or none if that fails. If the
    directory already holds the output of the same sources and configuration, nothing is elaborated.

    Parameters
    ----------
    config
        Sizes of the array.
    out_dir
        Directory for the files, made if missing.
    lists
        Whether it is the machine (`hw.core.machine.Machine`), not the array.
    create
        Makes the component from the configuration; by default one of these two.
        With another one the Verilog is always generated anew.

    Raises
    ------
    InputError
        The directory cannot be written.
    """
    return _generate(
        config,
        out_dir,
        create,
        kind=Kind.of(axi=False, lists=lists),
        companions=companions,
    )


def generate_axi(
    config: ArrayConfig,
    out_dir: Path,
    *,
    lists: bool = False,
    attributes: AxiAttributes = DEFAULT_AXI,
    create: CreateComponent | None = None,
) -> Manifest:
    """Write `gscn_axi_top.v`, the files of `generate` and the register map.

    The Verilog holds the array or the machine behind an AXI4 manager and an AXI4-Lite subordinate
    (`hw.host.top_axi.ArrayAxi`, `hw.host.machine_axi.MachineAxi`); its core is the module that
    `generate` writes. The map of its registers is there for C, for Python, as SystemRDL and as
    CMSIS-SVD, and beside it the C driver. Files are replaced as by `generate`.

    Parameters
    ----------
    config
        Sizes of the array.
    out_dir
        Directory for the files, made if missing; not that of `generate`, whose manifest has the
        same name.
    lists
        Whether it is the machine, not the array.
    attributes
        Constants of every burst: ID, protection, cacheability; and the width of its address.
    create
        Makes another component with the same ports, as in `generate`.

    Raises
    ------
    InputError
        The directory cannot be written, the ID needs more bits than `axi_id_width`, or the bus
        has fewer bits of address than the array.
    """
    kind = Kind.of(axi=True, lists=lists)
    return _generate(
        config,
        out_dir,
        create,
        kind=kind,
        companions=lambda manifest: {
            **companions(manifest),
            C_HEADER: c_header(config, kind.top, attributes),
            PYTHON_MODULE: python_module(config, kind.top, attributes),
            SYSTEM_RDL: system_rdl(config, kind.top, attributes),
            SVD: svd(config, kind.top, attributes),
            **c_files(error_meanings(kind.top)),
        },
        attributes=attributes,
    )


def _generate(
    config: ArrayConfig,
    out_dir: Path,
    create: CreateComponent | None,
    *,
    kind: Kind,
    companions: Callable[[Manifest], dict[str, str]],
    attributes: AxiAttributes | None = None,
) -> Manifest:
    """Write a top module, its manifest and companion files (name to text).

    With a component of others it is always generated anew.
    """
    name = kind.module
    said = attributes or DEFAULT_AXI
    sources = source_digest(config, kept_name(kind, said)) if create is None else ""
    manifest = _current(config, out_dir, name, sources) if sources else None
    if manifest is not None:
        return manifest
    try:
        # Before the long conversion.
        try_folder(out_dir)
        module = array_verilog(config, kind, attributes=said, create=create)
        manifest = _manifest(config, out_dir, kind, module, sources, attributes)
        manifest, texts = _texts(manifest, module, companions)
        write_files({out_dir / file: text for file, text in texts.items()})
    except OutputError as error:
        raise OutputError(f"output directory must be one that can be written: {error}") from error
    return manifest


def _manifest(
    config: ArrayConfig,
    out_dir: Path,
    kind: Kind,
    module: VerilogModule,
    sources: str,
    attributes: AxiAttributes | None,
) -> Manifest:
    """Return the manifest but for the digests of files."""
    return Manifest(
        top=kind.top,
        module=kind.module,
        verilog=out_dir / f"{kind.module}.v",
        verilog_digest="",
        source_digest=sources,
        config=config,
        ports=tuple(
            Port(name=port, direction=direction, width=width)
            for port, (direction, width) in module.ports.items()
        ),
        versions=tool_versions(),
        companions={},
        rams=ram_modules(module.text),
        axi=attributes,
    )


def _texts(
    manifest: Manifest, module: VerilogModule, companions: Callable[[Manifest], dict[str, str]]
) -> tuple[Manifest, dict[str, str]]:
    """Return the manifest with its digests, and the text of every file, by its name."""
    text = with_heading(manifest, guarded(module.text))
    texts = companions(manifest)
    digests = {file: hashlib.sha256(text.encode()).hexdigest() for file, text in texts.items()}
    manifest = dataclasses.replace(
        manifest, verilog_digest=hashlib.sha256(text.encode()).hexdigest(), companions=digests
    )
    texts[manifest.verilog.name] = text
    # last: it says what the other files are
    texts[MANIFEST_FILE] = json.dumps(manifest.to_dict(), indent=2) + "\n"
    return manifest, texts
