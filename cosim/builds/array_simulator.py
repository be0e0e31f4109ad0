"""Build of the simulator of an array that cuts its own jobs, cached by content."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

import cocotb_tools.config

from gscn.array import ArrayConfig
from gscn.cosim.builds.partition import Partition, partition
from gscn.cosim.builds.simulator import (
    _COMMON,
    _INSIDE,
    _LOCK_FILE,
    _PARTITIONED_CLUSTERS,
    _PORTS_FILE,
    OPTIMISATION,
    _common_key,
    _compile_clusters,
    _keep_runtime,
    _new_folder,
    _ports_text,
    _runtime_folder,
    _take_runtime,
    _verilator_flags,
)
from gscn.cosim.builds.toolchain import Toolchain, key, scratch_parent
from gscn.cosim.simulation import TESTBENCH_MODULE
from gscn.rtl_gen.array_verilog import array_verilog
from gscn.system.cache import (
    cache_folder,
    file_digest,
    is_sealed,
    locked,
    private_folder,
    temporary_folder,
)

_SOURCES = (*_COMMON, "array.cpp", "array.sv")


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltArray:
    """A simulator that is ready to run."""

    config: ArrayConfig
    executable: Path
    verilog: Path


def build_array(
    config: ArrayConfig, *, build_root: Path | None = None, waves: str = ""
) -> BuiltArray:
    """Return a simulator of the array, built only if none of the same content exists.

    Parameters
    ----------
    config
        The array.
    build_root
        Directory that keeps simulators; by default `system.cache.cache_folder()`.
    waves
        Format of the waves that the simulator can write, `vcd` or `fst`; by default none.

    Raises
    ------
    SimulationError
        A tool is missing or fails.
    """
    root = private_folder(cache_folder() if build_root is None else build_root.resolve())
    verilog = array_verilog(config).text
    split = not waves and config.clusters >= _PARTITIONED_CLUSTERS
    parts = partition(verilog) if split else None
    flags = _verilator_flags(config, waves=waves)
    files = [file_digest(_INSIDE / name) for name in _SOURCES]
    texts = [] if parts is None else [parts.wrapper, parts.holder, parts.calls]
    digest = key(dataclasses.asdict(config), verilog, flags, texts, files, _common_key())
    # a folder of its own: what is unfinished is nobody's where the lock around it is free
    home = private_folder(root / "array")
    target = home / f"sim-{digest}"
    with locked(home / _LOCK_FILE):
        if not is_sealed(target, TESTBENCH_MODULE):
            with _new_folder(target, ".sim-") as folder:
                (folder / "gscn_top.v").write_text(verilog)
                parent = scratch_parent(folder)
                with temporary_folder("gscn-build-", parent) as scratch:
                    program = _compile(config, folder / "gscn_top.v", parts, scratch, root, waves)
                    shutil.copy2(program, folder / TESTBENCH_MODULE)
    return BuiltArray(
        config=config, executable=target / TESTBENCH_MODULE, verilog=target / "gscn_top.v"
    )


def _compile(
    config: ArrayConfig,
    verilog: Path,
    parts: Partition | None,
    scratch: Path,
    root: Path,
    waves: str,
) -> Path:
    """Make the program in an empty folder."""
    tools = Toolchain(scratch)
    directory = scratch / "obj"
    directory.mkdir()
    (directory / _PORTS_FILE).write_text(_ports_text(config, axi=False))
    runtime = _runtime_folder(root, _verilator_flags(config, waves=waves))
    libraries = tools.plain(Path(cocotb_tools.config.libs_dir))
    flags = _verilator_flags(config, waves=waves, libraries=libraries)
    source = tools.plain(verilog)
    design = [source]
    if parts is not None:
        design, further = _compile_clusters(tools, source, parts, directory / "cluster")
        flags = [*flags, *further]
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    here = tools.plain(_INSIDE)
    own = [f"{here}/{name}" for name in _SOURCES if not name.endswith(".h")]
    tools.verilate(
        directory, [f"-I{directory}", *flags, tools.plain(main), *own[:-1], *design, own[-1]]
    )
    known = _take_runtime(runtime, directory)
    tools.make(directory, "Vtop.mk", OPTIMISATION)
    if not known:
        _keep_runtime(directory, runtime)
    return directory / TESTBENCH_MODULE
