"""Passes on Dask's workers: the same results as in one process, also if a worker is lost."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cosim.build import build
from cosim.distributed import check_distributed, connect
from cosim.layer import PassInput, check_passes
from golden.synthetic import random_codes
from gscn.config import PRESETS
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.formats import BF16

pytestmark = [
    pytest.mark.cosim,
    # Dask's event loops and sockets end some time after the cluster.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CONFIG = replace(PRESETS["tiny"], float_formats="bf16")


def pass_inputs(count, shape):
    return [
        PassInput(
            layer=f"layer{index}",
            shape=shape,
            which=which,
            **dict(
                zip(
                    ("first", "second"), random_codes(shape, which, 0.4, 0.4, BF16, index),
                    strict=True,
                )
            ),
            fmt=BF16,
        )
        for index in range(count)
        for which in Pass
    ]  # fmt: skip


def test_workers_give_what_one_process_gives_and_a_lost_worker_loses_nothing():
    simulator = build(CONFIG)
    inputs = pass_inputs(4, ConvShape(n=2, c=4, h=8, w=8, k=4, r=3, s=3, padding=(1, 1)))
    alone = check_passes(CONFIG, inputs, simulator=simulator)
    finished = []
    lost = []
    before = set(_simulators())
    with connect(2) as client:
        workers = client.run(os.getpid)

        def lose_one(outcome):
            finished.append(outcome.source.layer)
            if not lost:
                lost.append(next(iter(workers.values())))
                os.kill(lost[0], signal.SIGKILL)

        shared = check_distributed(client, CONFIG, inputs, finished=lose_one)
        assert lost
        deadline = time.monotonic() + 30
        while len(now := client.run(os.getpid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert lost[0] not in now.values()
    assert len(finished) == len(inputs)
    for one, other in zip(alone, shared, strict=True):
        assert other.comparison.good
        assert other.source.layer == one.source.layer
        assert other.source.which == one.source.which
        assert np.array_equal(other.result, one.result)
        assert (other.run.cycles, other.run.counters) == (one.run.cycles, one.run.counters)
    # Neither workers nor simulators are left behind.
    deadline = time.monotonic() + 10
    while set(_simulators()) - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert set(_simulators()) <= before


def _simulators():
    """Return the processes of the simulator that run now."""
    name = str(build(CONFIG).executable)
    return [
        path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if name in _read(path)
    ]


def _read(path):
    try:
        return path.read_text()
    except OSError:  # the process has ended in between
        return ""


def test_bad_clusters_are_refused():
    with pytest.raises(InputError, match="workers must be at least 1, not 0"), connect(0):
        pass
    with (
        pytest.raises(InputError, match="scheduler must be the address of a cluster, not nowhere"),
        connect(scheduler="nowhere:1"),
    ):
        pass


@pytest.mark.slow
def test_no_worker_outlives_a_killed_command_even_if_it_hears_nothing():
    code = (
        "import os\n"
        "from cosim.distributed import connect\n"
        "if __name__ == '__main__':\n"
        "    with connect(1) as client:\n"
        "        (worker,) = client.run(os.getpid).values()\n"
        "        print(worker, flush=True)\n"
        # The interpreter lets no other thread run meanwhile.
        "        client.submit(sum, range(10**12)).result()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        worker = int(parent.stdout.readline())
        time.sleep(2)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    deadline = time.monotonic() + 3
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
