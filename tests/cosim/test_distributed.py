"""Passes on Dask's workers: the same results as in one process, also if a worker is lost."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from distributed.security import Security

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cosim.builds.simulator import build
from gscn.cosim.distributed import check_distributed, connect, require_scheduler
from gscn.cosim.layer import PassInput, check_passes
from gscn.errors import InputError
from gscn.formats import BF16
from gscn.golden.oracle.synthetic import random_codes

pytestmark = [
    pytest.mark.cosim,
    # Dask's event loops and sockets end some time after the cluster.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CONFIG = replace(ARRAYS["tiny"], float_formats="bf16")


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


def test_no_one_else_can_use_a_local_cluster_and_it_serves_no_http():
    with connect(1) as client:
        address = client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        nodes = [client.cluster.scheduler, *client.cluster.workers.values()]
        assert all(node.address.startswith("tls://127.0.0.1:") for node in nodes)
        listening = lambda dask_worker: list(dask_worker.http_server._sockets)  # noqa: E731
        assert client.run(listening) == {name: [] for name in client.run(os.getpid)}
        assert not client.cluster.scheduler.http_server._sockets
        for other in (address, address.replace("tls", "tcp")):
            with pytest.raises(InputError, match="must be the address of a cluster"):
                require_scheduler(other)
        # With other certificates as little as with none.
        context = Security.temporary().get_connection_args("client")["ssl_context"]
        port = int(address.rsplit(":", 1)[1])
        with (
            socket.create_connection(("127.0.0.1", port)) as raw,
            pytest.raises(ssl.SSLError),
            context.wrap_socket(raw) as other,
        ):
            other.recv(1)


def test_a_scheduler_that_says_nothing_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(InputError, match="answers as a scheduler within 8 s"):
            require_scheduler(address)
        assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("tls://127.0.0.1:1", "certificates are needed for tls"),
        ("inproc://x", "tcp://HOST:PORT"),
        ("tcp://", "tcp://HOST:PORT"),
        ("tcp://127.0.0.1", "missing port"),
        ("http://127.0.0.1:80", "tcp://HOST:PORT"),
    ],
)
def test_what_is_no_address_of_a_scheduler_is_refused(address, complaint):
    with pytest.raises(InputError, match=complaint):
        require_scheduler(address)


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
        "from gscn.cosim.distributed import connect\n"
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
