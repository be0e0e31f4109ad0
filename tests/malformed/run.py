"""Has the command read malformed files, each in a process of its own with bounds, and reports.

    python -m tests.malformed.run FOLDER FIRST_SEED COUNT

prints a line of JSON for each: seed, kind, words, how it ended, CPU and wall seconds, megabytes,
and the end of its output. Processes are forked from this one, which has imported everything.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

from gscn.command.main import main
from tests.malformed.generate import KINDS, malformed, put
from tests.malformed.good import make_good

CPU_SECONDS = 10
WALL_SECONDS = 60
"""Beyond the first, as other processes may be running; waiting for ever is found all the same."""
MOST_BYTES = 2 << 30


def read_one(seed: int, good: Path, folder: Path) -> dict[str, object]:
    """Return what became of one file."""
    kind, words = malformed(seed, good, folder)
    output = folder.with_suffix(".out")
    started = time.monotonic()
    child = os.fork()
    if not child:
        _run_bounded(words, output)
    status, usage = _ended(child, started + WALL_SECONDS)
    return {
        "seed": seed,
        "kind": kind,
        "words": [word[:100] for word in words],
        "exit": os.waitstatus_to_exitcode(status),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "wall_seconds": round(time.monotonic() - started, 2),
        "megabytes": usage.ru_maxrss >> 10,
        "output": output.read_text(errors="replace")[-3000:],
    }


def _run_bounded(words: list[str], output: Path) -> None:
    """Run the command and end this process."""
    status = 99
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT)
        for number in (1, 2):
            os.dup2(descriptor, number)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS + 2, CPU_SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + MOST_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        try:
            status = main(words)
        except SystemExit as error:
            status = error.code
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001  (reported, whatever it is)
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _ended(child: int, deadline: float) -> tuple[int, resource.struct_rusage]:
    while True:
        found, status, usage = os.wait4(child, os.WNOHANG)
        if found:
            return status, usage
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)


def run(folder: Path, first: int, count: int) -> None:
    """Read so many files and print what became of them."""
    import PIL.Image
    import torch

    # Threads would not be there in a forked process.
    torch.set_num_threads(1)
    PIL.Image.init()
    warnings.simplefilter("ignore")
    good = folder / "good"
    good.mkdir(parents=True)
    with (folder / "good.out").open("w") as output, contextlib.redirect_stdout(output):
        make_good(good, main)
        # What is imported and compiled on the way is then there for all.
        for name, kind in KINDS.items():
            if name != "options":
                put(kind, good, folder / name)
                words = kind.words(None, folder / name)
                assert main(words) == 0, (folder / "good.out").read_text()
    for seed in range(first, first + count):
        place = folder / f"{seed}"
        sys.stdout.write(json.dumps(read_one(seed, good, place)) + "\n")
        sys.stdout.flush()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
