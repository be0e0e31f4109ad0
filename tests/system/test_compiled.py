import logging
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gscn.system import compiled, sources

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import logging
logging.basicConfig(level=logging.INFO)
from gscn.system.compiled import compiled

@compiled
def double(x):
    return 2 * x

print(double(4), double(2.5))
"""


def copy_of_sources(tmp_path: Path) -> Path:
    for package in compiled.ROOMS:
        shutil.copytree(sources.room(package), tmp_path / package)
    return tmp_path


def test_the_cache_directory_is_named_after_the_sources_in_use():
    assert compiled.code_folder().name == sources.source_digest(compiled.ROOMS)
    assert compiled.code_folder().stat().st_mode & 0o777 == 0o700


def test_a_change_of_any_source_changes_the_digest(tmp_path):
    root = copy_of_sources(tmp_path)
    before = sources.source_digest(compiled.ROOMS, root=root)
    assert before == sources.source_digest(compiled.ROOMS)
    for package in (*compiled.ROOMS, "perf/rivals"):
        path = next(iter(sorted((root / package).glob("*.py"))))
        path.write_text(path.read_text() + "\n")
        after = sources.source_digest(compiled.ROOMS, root=root)
        assert after != before
        before = after


def test_a_compiled_function_returns_what_the_function_returns():
    @compiled.compiled
    def double(x):
        return 2 * x

    @compiled.compiled(inline="always")
    def triple(x):
        return 3 * x

    assert (double(4), triple(4)) == (8, 12)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder for machine code, in place of that of all tests."""
    path = tmp_path / "kept"
    path.mkdir()
    monkeypatch.setattr(compiled, "code_folder", lambda: path)
    return path


def called(value, factor=2):
    """Return what a new dispatcher of the same function returns, as in a process of its own."""

    def scaled(x):
        return factor * x

    function = compiled.compiled(scaled)
    return function(value)


def test_machine_code_is_kept_for_each_signature_and_loaded(folder, monkeypatch):
    assert (called(4), called(2.5)) == (8, 5.0)
    files = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(files) == 2
    monkeypatch.setattr(compiled._KeptCode, "save_overload", None)  # not even called
    assert (called(4), called(2.5)) == (8, 5.0)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == files


def test_functions_with_other_values_in_their_closures_are_others(folder):
    assert (called(4, factor=2), called(4, factor=3)) == (8, 12)
    assert len(list(folder.iterdir())) == 2


class Planted:
    def __reduce__(self):
        return (pytest.fail, ("an object was made from a file without a valid digest",))


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda content: content[:20],
        lambda content: content[:-1],
        lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:],
        lambda _: pickle.dumps(Planted()),
        lambda content: content[:32] + pickle.dumps(Planted()),
    ],
)
def test_damaged_machine_code_is_compiled_again(folder, damage, caplog):
    assert called(4) == 8
    (path,) = folder.iterdir()
    good = path.read_bytes()
    path.write_bytes(damage(good))
    with caplog.at_level(logging.INFO):
        assert called(4) == 8
    assert f"{path} is damaged" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert called(4) == 8
    assert caplog.text == ""


def run_in(directory, code=CODE, **variables):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    script = directory / "script.py"
    script.write_text(code)
    return subprocess.run(
        [sys.executable, str(script)], cwd=directory, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def test_without_a_safe_folder_functions_are_compiled_and_the_user_is_told(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    done = run_in(tmp_path, GSCN_BUILD_DIR=str(shared / "gscn"))
    assert (done.returncode, done.stdout) == (0, "8 5.0\n")
    assert "WARNING" not in done.stderr  # a private folder in a shared one was made
    (shared / "gscn" / "numba").chmod(0o777)
    done = run_in(tmp_path, GSCN_BUILD_DIR=str(shared / "gscn"))
    assert (done.returncode, done.stdout) == (0, "8 5.0\n")
    assert "compiled functions are not kept" in done.stderr
    assert "numba must not be writable by others" in done.stderr
    assert not (tmp_path / "build").exists()


def test_code_of_other_sources_is_removed_when_it_is_old(tmp_path, monkeypatch):
    monkeypatch.setenv("GSCN_BUILD_DIR", str(tmp_path))
    old, young = tmp_path / "numba" / "old", tmp_path / "numba" / "young"
    for path in (old, young):
        path.mkdir(parents=True)
    for path in (tmp_path, tmp_path / "numba"):
        path.chmod(0o700)
    long_ago = time.time() - compiled.UNUSED_SECONDS - 10
    os.utime(old, (long_ago, long_ago))
    own = compiled.code_folder.__wrapped__()
    assert own == tmp_path / "numba" / sources.source_digest(compiled.ROOMS)
    assert not old.exists()
    for name, kept in ((".old", False), (".young", True), ("old", True)):
        (own / name).touch()
        if "old" in name:
            os.utime(own / name, (long_ago, long_ago))
        compiled.code_folder.__wrapped__()
        assert (own / name).exists() == kept
    assert young.exists()


def test_no_settings_come_from_the_current_directory(tmp_path):
    (tmp_path / ".numba_config.yaml").write_text("disable_jit: 1\n")
    code = f"{CODE}\nprint(len(double.signatures))\n"
    assert run_in(tmp_path, code, GSCN_BUILD_DIR=str(tmp_path / "kept")).stdout == "8 5.0\n2\n"
