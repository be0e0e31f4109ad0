"""Files appear whole or not at all, together or not at all, and are tried without a trace."""

from __future__ import annotations

import errno
import io
import os
import resource
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from gscn.errors import OutputError
from gscn.system import files
from gscn.system.files import (
    new_folder,
    remove_unfinished,
    replacing,
    temporary_beside,
    try_file,
    try_folder,
    write_files,
    write_text,
    writing,
)


@contextmanager
def full_disk():
    """Let no file grow, as on a full disk: writes fail with "File too large"."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def break_off(*_: object) -> None:
    raise KeyError


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_file_is_made_with_its_folders_and_the_usual_permissions(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "text")
    assert contents(tmp_path) == {"a/b/c.txt": "text"}
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a" / "b" / "c.txt").stat().st_mode) == 0o666 & ~mask


def test_what_fails_leaves_the_old_file_and_no_folder(tmp_path):
    write_text(tmp_path / "old.txt", "old")
    for path in (tmp_path / "old.txt", tmp_path / "new" / "deep" / "new.txt"):
        with pytest.raises(KeyError), writing(path) as file:
            break_off(file.write(b"half"))
    assert contents(tmp_path) == {"old.txt": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["old.txt"]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "old.txt"
    write_text(path, "old")
    with full_disk(), pytest.raises(OutputError, match=r"old\.txt must be a file that can be writ"):
        write_text(path, "new")
    assert contents(tmp_path) == {"old.txt": "old"}


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    write_text(tmp_path / "file.txt", "old")
    (tmp_path / "link.txt").symlink_to("file.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "file.txt").read_text() == "new"


def test_a_name_as_long_as_names_can_be(tmp_path):
    path = tmp_path / ("n" * os.pathconf(tmp_path, "PC_NAME_MAX"))
    try_file(path)
    write_text(path, "text")
    assert path.read_text() == "text"


def test_devices_and_pipes_are_written_to_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_text(pipe, "text")
    write_files({pipe: " and more"})
    assert os.read(reader, 100) == b"text and more"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_full_device_is_refused_and_stays_a_device():
    full = Path("/dev/full")
    before = full.stat()
    with pytest.raises(OutputError, match="/dev/full must be a file that can be written: No space"):
        write_text(full, "text")
    with pytest.raises(OutputError, match="No space left"):
        write_files({full: "text"})
    assert full.stat().st_rdev == before.st_rdev
    assert stat.S_ISCHR(full.stat().st_mode)


def test_the_file_that_standard_output_goes_to_is_not_replaced(tmp_path):
    program = (
        "from pathlib import Path\n"
        "from gscn.system.files import write_text\n"
        "write_text(Path('out.txt'), 'file\\n')\n"
        "write_text(Path('/dev/stdout'), 'device\\n')\n"
        "print('printed')\n"
    )
    with (tmp_path / "out.txt").open("ab") as out:
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, stdout=out, check=True)
    assert contents(tmp_path) == {"out.txt": "file\ndevice\nprinted\n"}


def test_a_set_is_replaced_and_equal_files_are_left_alone(tmp_path):
    same, other, new = (tmp_path / name for name in ("same", "other", "folder/new"))
    write_files({same: "same", other: "old"})
    os.utime(same, (1, 1))
    write_files({same: "same", other: b"new", new: "made"})
    assert contents(tmp_path) == {"same": "same", "other": "new", "folder/new": "made"}
    assert same.stat().st_mtime == 1


@pytest.mark.parametrize("links", [True, False], ids=["linked", "copied"])
def test_a_set_that_fails_in_the_middle_is_put_back(tmp_path, monkeypatch, links):
    first, second, third = (tmp_path / name for name in ("first", "new/second", "third"))
    write_files({first: "1", third: "3"})
    replace = Path.replace

    def fail(path, target):
        if Path(target) == third and path.read_text() == "III":
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail)
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError()))
    with pytest.raises(OutputError, match=r"third must be a file .*: No space left on device"):
        write_files({first: "I", second: "II", third: "III"})
    assert contents(tmp_path) == {"first": "1", "third": "3"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "third"]


def test_a_set_with_a_folder_in_the_place_of_a_file_is_refused_whole(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match="taken must be a file that can be written: Is a direct"):
        write_files({tmp_path / "first": "1", tmp_path / "taken": "2"})
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_what_others_write_takes_its_place_at_the_end(tmp_path):
    path = tmp_path / "waves.fst"
    with replacing(path) as whole:
        whole.write_text("waves")
        assert not path.exists()
    assert contents(tmp_path) == {"waves.fst": "waves"}


def test_a_new_folder_is_renamed_or_removed(tmp_path):
    with new_folder(tmp_path / "deep" / "kept") as place:
        (place / "file").write_text("text")
        place.rename(tmp_path / "deep" / "kept")
    with pytest.raises(KeyError), new_folder(tmp_path / "other" / "lost") as place:
        break_off((place / "file").write_text("text"))
    assert contents(tmp_path) == {"deep/kept/file": "text"}
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_what_was_broken_off_is_removed_at_the_end_of_the_process(tmp_path):
    contexts = [temporary_beside(tmp_path / name) for name in ("file", "folder")]
    file, folder = (context.__enter__() for context in contexts)
    file.write_text("half")
    (folder / "deep").mkdir(parents=True)
    remove_unfinished()
    assert list(tmp_path.iterdir()) == []
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.mark.parametrize("name", ["new", "old", "deep/er/new"])
def test_a_trial_leaves_no_trace(tmp_path, name):
    (tmp_path / "old").write_text("old")
    os.utime(tmp_path / "old", (1, 1))
    try_file(tmp_path / name)
    try_folder(tmp_path / "folder" / "deep")
    try_folder(tmp_path)
    assert contents(tmp_path) == {"old": "old"}
    assert (tmp_path / "old").stat().st_mtime == 1
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".", "Is a directory"),
        ("file/below", "Not a directory"),
        ("n" * 300, "File name too long"),
        ("deep/" + "n" * 300, "File name too long"),
        ("n" * 300 + "/deep", "File name too long"),
    ],
)
def test_a_file_that_cannot_be_is_found_beforehand(tmp_path, name, reason):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=f"must be a file that can be written: {reason}"):
        try_file(tmp_path / name)
    with pytest.raises(OutputError, match="must be a file that can be written"):
        write_text(tmp_path / name, "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_is_found_beforehand(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("file", "file/deep"):
        with pytest.raises(OutputError, match="must be a folder that can be written: Not a direct"):
            try_folder(tmp_path / name)
    with pytest.raises(OutputError, match="must be a folder that can be written"):
        try_folder(Path("/proc/deep/folder"))


def test_a_full_disk_is_found_beforehand(tmp_path):
    (tmp_path / "old").write_text("old")
    with full_disk():
        for name in ("old", "new", "deep/new"):
            with pytest.raises(OutputError, match="must be a file that can be written"):
                try_file(tmp_path / name)
        with pytest.raises(OutputError, match="must be a folder that can be written"):
            try_folder(tmp_path)
    assert contents(tmp_path) == {"old": "old"}


def test_what_may_not_be_written_is_found_beforehand(tmp_path, monkeypatch):
    """Root may write anywhere, so that the system's answer is the test's."""
    (tmp_path / "old").write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match=r"old must be a file .*: Permission denied"):
        try_file(tmp_path / "old")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(io, "open", refuse)
    with pytest.raises(OutputError, match=r"new must be a file .*: Permission denied"):
        try_file(tmp_path / "new")


def test_no_temporary_file_is_forgotten():
    assert files._unfinished == set()


def test_what_cannot_be_removed_yet_is_removed_in_the_end(tmp_path, monkeypatch):
    with temporary_beside(tmp_path / "folder") as place:
        place.mkdir()
        monkeypatch.setattr(files.shutil, "rmtree", lambda *_, **__: None)
    assert place.is_dir()
    monkeypatch.undo()
    remove_unfinished()
    assert list(tmp_path.iterdir()) == []
    assert files._unfinished == set()


def test_a_link_to_itself_is_refused_as_an_output(tmp_path):
    path = tmp_path / "loop"
    path.symlink_to(path)
    with pytest.raises(OutputError, match="loop must be a file that can be written"):
        try_file(path)
    with pytest.raises(OutputError, match="loop must be a folder that can be written"):
        try_folder(path)
    assert sorted(tmp_path.iterdir()) == [path]
