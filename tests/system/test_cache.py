"""The cache folder is private and the user's; what is kept has a seal; the dead leave nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gscn.errors import InputError
from gscn.system import cache
from gscn.system.cache import (
    cache_folder,
    is_sealed,
    locked,
    private_folder,
    remove_leftovers,
    seal,
    temporary_folder,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def variables(monkeypatch, tmp_path):
    for name in ("GSCN_BUILD_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return monkeypatch.setenv


def test_the_folder_is_in_the_users_cache_unless_a_variable_names_another(variables, tmp_path):
    assert cache_folder() == tmp_path / "home" / ".cache" / "gscn"
    variables("XDG_CACHE_HOME", "/some/cache")
    assert cache_folder() == Path("/some/cache/gscn")
    variables("GSCN_BUILD_DIR", "/an other/folder")
    assert cache_folder() == Path("/an other/folder")
    variables("GSCN_BUILD_DIR", "")
    assert cache_folder() == Path("/some/cache/gscn")


@pytest.mark.parametrize("value", ["", ".", "cache"])
def test_no_relative_cache_home_leads_to_the_current_directory(variables, tmp_path, value):
    variables("XDG_CACHE_HOME", value)
    assert cache_folder() == tmp_path / "home" / ".cache" / "gscn"


def test_without_a_home_the_user_is_asked_for_a_folder(variables):
    variables("HOME", "relative")
    with pytest.raises(InputError, match=r"home directory must be known .* GSCN_BUILD_DIR"):
        cache_folder()


def test_a_new_folder_and_those_around_it_are_private(tmp_path):
    folder = private_folder(tmp_path / "a" / "b c")
    assert folder.is_dir()
    for one in (folder, folder.parent):
        assert one.stat().st_mode & 0o777 == 0o700
    assert private_folder(folder) == folder


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path, mode):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(InputError, match=rf"{folder} must not be writable by others.* {mode:04o}"):
        private_folder(folder)


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with pytest.raises(InputError, match=rf"must belong to this user \({own + 1}\), not to {own}"):
        private_folder(tmp_path)


def test_what_cannot_be_a_folder_is_refused_by_name(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=f"build directory {path} must be a folder"):
            private_folder(path)


@pytest.fixture
def sealed(tmp_path):
    (tmp_path / "program").write_bytes(b"\x7fELF and so on")
    (tmp_path / "text.v").write_text("module m; endmodule")
    seal(tmp_path)
    return tmp_path


def test_a_sealed_folder_is_whole_until_anything_in_it_changes(sealed):
    assert is_sealed(sealed, "program", "text.v")
    assert not is_sealed(sealed, "another")
    seal(sealed)
    assert is_sealed(sealed, "program", "text.v")


@pytest.mark.parametrize("name", ["program", "text.v", cache.SEAL_FILE])
@pytest.mark.parametrize("content", [b"", b"\x7fELF and so", b"[" * 200_000, b"{}", b"[]", None])
def test_damage_of_any_file_breaks_the_seal(sealed, name, content):
    if content is None:
        (sealed / name).unlink()
    else:
        (sealed / name).write_bytes(content)
    assert not is_sealed(sealed, "program", "text.v")


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    with locked(tmp_path / "lock") as first, locked(tmp_path / "lock", wait=False) as second:
        assert first
        assert not second
    with locked(tmp_path / "lock", wait=False) as again:
        assert again


def test_folders_of_the_living_stay_and_those_of_the_dead_go(tmp_path):
    code = (
        "import sys, time\n"
        "from gscn.system.cache import temporary_folder\n"
        f"with temporary_folder('gscn-x-', __import__('pathlib').Path({str(tmp_path)!r})):\n"
        "    print(flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        with temporary_folder("gscn-x-", tmp_path) as own:
            assert len(list(tmp_path.iterdir())) == 2
            remove_leftovers(tmp_path, "gscn-x-")
            assert len(list(tmp_path.iterdir())) == 2
            process.send_signal(signal.SIGKILL)
            process.wait()
            remove_leftovers(tmp_path, "gscn-y-")
            assert len(list(tmp_path.iterdir())) == 2
            remove_leftovers(tmp_path, "gscn-x-")
            assert list(tmp_path.iterdir()) == [own]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_an_owner_goes_when_it_is_old(tmp_path):
    folder = tmp_path / "gscn-x-1"
    folder.mkdir()
    (tmp_path / "gscn-x-file").touch()
    (tmp_path / "gscn-x-link").symlink_to(folder)
    remove_leftovers(tmp_path, "gscn-x-")
    assert folder.exists()
    long_ago = time.time() - cache.ORPHAN_SECONDS - 10
    os.utime(folder, (long_ago, long_ago))
    remove_leftovers(tmp_path, "gscn-x-")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gscn-x-file", "gscn-x-link"]


def test_a_leftover_of_another_user_stays(tmp_path, monkeypatch):
    folder = tmp_path / "gscn-x-1"
    folder.mkdir()
    (folder / cache.OWNER_FILE).touch()
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    remove_leftovers(tmp_path, "gscn-x-")
    assert folder.exists()
