"""Programs end with the process that runs them; helpers import nothing from where it is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gscn.system.supervision import run_supervised, safe_import_path

ROOT = Path(__file__).resolve().parents[2]
# A shell that starts another, as make starts compilers; both note their numbers.
NESTED = "echo $$ >> pids; sh -c 'echo $$ >> pids; sleep 60; true' ; true"
# One of them in a session of its own, as provers start their engines.
PARTED = "echo $$ >> pids; setsid sh -c 'echo $$ >> pids; sleep 60; true' ; true"


def is_running(process):
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def started(folder, count=2):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        path = folder / "pids"
        found = path.read_text().split() if path.exists() else []
        if len(found) == count:
            return found
        time.sleep(0.02)
    raise AssertionError("the programs did not start")


def all_end_within(processes, seconds):
    deadline = time.monotonic() + seconds
    while any(map(is_running, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(is_running, processes))


def test_status_and_texts_of_a_program_are_returned(tmp_path):
    folder = tmp_path / "a b"
    folder.mkdir()
    done = run_supervised(["sh", "-c", "pwd; echo no >&2; exit 3"], cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (3, f"{folder}\n", "no\n")
    assert run_supervised(["sh", "-c", "kill -9 $$"], cwd=folder).returncode == 128 + 9
    environment = {"PATH": os.environ["PATH"], "X": "1 2"}
    assert run_supervised(["sh", "-c", 'echo "$X"'], cwd=folder, env=environment).stdout == "1 2\n"
    with pytest.raises(FileNotFoundError, match="no-such-program is not in PATH"):
        run_supervised(["no-such-program"], cwd=folder)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("line", [NESTED, PARTED], ids=["nested", "parted"])
def test_no_program_outlives_the_process_that_runs_it(tmp_path, line, number):
    code = (
        "import pathlib\n"
        "from gscn.system.supervision import run_supervised\n"
        f"run_supervised(['sh', '-c', {line!r}], cwd=pathlib.Path({str(tmp_path)!r}))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        programs = started(tmp_path)
        assert all(map(is_running, programs))
        parent.send_signal(number)
        assert parent.wait(60) != 0
    finally:
        parent.kill()
        parent.wait()
    assert all_end_within(programs, 3)


def test_a_module_in_the_current_directory_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text("print('planted')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    command = [sys.executable, "-m", "planted"]
    assert subprocess.run(command, capture_output=True, check=False).stdout == b"planted\n"
    with safe_import_path():
        done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert "PYTHONSAFEPATH" not in os.environ
