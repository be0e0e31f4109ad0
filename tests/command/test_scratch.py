"""Temporary files of a command are in a folder of its own, also if it is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gscn.command.scratch import LOCK, PREFIX, scratch_folder


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_temporary_files_of_this_process_and_others_are_in_it_and_go_with_it(temporary):
    before = os.environ.get("TMPDIR")
    with scratch_folder() as place:
        assert place.parent == temporary
        assert place.stat().st_mode & 0o077 == 0
        _, name = tempfile.mkstemp()
        program = "import tempfile; print(tempfile.mkdtemp())"
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert Path(name).parent == Path(done.stdout.strip()).parent == place
    assert list(temporary.iterdir()) == []
    assert (os.environ.get("TMPDIR"), tempfile.tempdir) == (before, str(temporary))


def test_the_next_command_removes_what_a_killed_one_left(temporary):
    program = (
        "import os, signal\n"
        "from gscn.command.scratch import scratch_folder\n"
        "with scratch_folder() as place:\n"
        "    (place / 'object').write_text('text')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TMPDIR": str(temporary)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert [path.name[: len(PREFIX)] for path in temporary.iterdir()] == [PREFIX]
    with scratch_folder() as place:
        assert list(temporary.iterdir()) == [place]


def test_folders_of_running_and_starting_commands_and_links_stay(temporary):
    (temporary / f"{PREFIX}starting").mkdir()
    (temporary / f"{PREFIX}link").symlink_to("elsewhere")
    with scratch_folder() as first, scratch_folder() as second:
        assert second.parent == first
        tempfile.tempdir = str(temporary)
        with scratch_folder():
            assert (first / LOCK).is_file()
    assert sorted(path.name for path in temporary.iterdir()) == [
        f"{PREFIX}link",
        f"{PREFIX}starting",
    ]


def test_without_a_place_for_it_there_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with scratch_folder() as place:
        assert place is None
