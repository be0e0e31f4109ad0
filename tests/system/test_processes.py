"""Processes below this one are found and ended, whatever session they are in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from gscn.system.processes import descendants


def run(program: str, *words: str) -> str:
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout


def is_there(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_until_gone(process: int, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while is_there(process) and time.monotonic() < end:
        time.sleep(0.02)
    return not is_there(process)


def test_children_and_their_children_are_found():
    shell = subprocess.Popen(["sh", "-c", "sleep 60 & wait"], start_new_session=True)
    try:
        end = time.monotonic() + 5
        while len(descendants(shell.pid)) < 1 and time.monotonic() < end:
            time.sleep(0.01)
        assert shell.pid in descendants()
        assert set(descendants(shell.pid)) < set(descendants())
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def test_all_below_are_ended_those_that_ignore_signals_and_orphans_too():
    program = (
        "import subprocess, sys, time\n"
        "from gscn.system.processes import adopt_descendants, descendants, end_descendants\n"
        "adopt_descendants()\n"
        "text = 'trap \"\" TERM; echo $$; sleep 60'\n"
        "deaf = subprocess.Popen(['sh', '-c', text], start_new_session=True)\n"
        "subprocess.run(['sh', '-c', 'setsid sleep 61 & echo $!'])\n"
        "time.sleep(0.3)\n"
        "assert len(descendants()) >= 2, descendants()\n"
        "end_descendants()\n"
        "assert descendants() == []\n"
    )
    assert all(wait_until_gone(int(line)) for line in run(program).split())


def test_a_worker_of_a_pool_ends_with_a_process_that_is_killed():
    program = (
        "import os, signal\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from multiprocessing import get_context\n"
        "from gscn.system.supervision import end_with_parent\n"
        "pool = ProcessPoolExecutor(\n"
        "    1, mp_context=get_context('spawn'), initializer=end_with_parent)\n"
        "print(pool.submit(os.getpid).result(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", program]
    killed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert wait_until_gone(int(killed.stdout))


def test_workers_started_deaf_leave_an_interrupt_to_their_parent():
    program = (
        "import os, signal\n"
        "from multiprocessing import get_context\n"
        "from gscn.system.processes import deaf_children\n"
        "with deaf_children():\n"
        "    pool = get_context('spawn').Pool(1)\n"
        "worker = pool.apply(os.getpid)\n"
        "os.kill(worker, signal.SIGINT)\n"
        "assert pool.apply(os.getpid) == worker\n"
        "assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())\n"
        "pool.terminate()\n"
    )
    run(program)
