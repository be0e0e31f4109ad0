"""Passes on many machines: Dask hands them to workers, each of which has one device.

A worker that is lost is replaced and its passes are run again; results do not depend on the number
of workers, because no pass is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gscn.array import ArrayConfig
from gscn.cosim.builds.simulator import build
from gscn.cosim.devices.device import Device, DeviceSettings
from gscn.cosim.errors import DeviceLost
from gscn.cosim.layer import PassInput, PassOutcome, check_pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import FLOAT32, FloatFormat
from gscn.port import READ_LATENCY
from gscn.system.cache import temporary_folder
from gscn.system.processes import deaf_children
from gscn.system.supervision import end_with_parent, safe_import_path

if TYPE_CHECKING:
    from distributed import Client, WorkerPlugin

ATTEMPTS = 3
"""Times that a pass is run on one worker whose simulator is lost."""
MOST_WORKERS = 1024
CONNECT_SECONDS = 8
"""Time in which a scheduler must answer."""
LOSSES = 10
"""Workers that may be lost during a pass before it counts as its fault."""
Finished = Callable[[PassOutcome], None]
_devices: dict[tuple[str, int, Path | None], Device] = {}
"""Of this worker, by configuration, latency and directory of the simulators."""


@takes_text
def check_on_worker(
    config: ArrayConfig,
    one: PassInput,
    output_width: int,
    result_format: FloatFormat,
    latency: int,
    build_root: Path | None,
) -> PassOutcome:
    """Run a pass on the device of the worker that this is called on, and compare its result.

    Parameters
    ----------
    config, one, output_width, result_format, latency, build_root
        As of `cosim.layer.check_passes`.

    Returns
    -------
    PassOutcome
        Without the memories of the launch.

    Raises
    ------
    InputError, SimulationError
        As `cosim.layer.check_passes`; a lost simulator is tried again `ATTEMPTS` times.
    """
    key = config.digest(), latency, build_root
    if key not in _devices:
        _devices[key] = Device(config, DeviceSettings(latency=latency), build_root=build_root)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return check_pass(
                _devices[key], one, output_width=output_width, result_format=result_format
            )
        except DeviceLost:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError  # the loop returns or raises


@contextlib.contextmanager
def connect(workers: int = 1, scheduler: str | None = None) -> Iterator[Client]:
    """Yield a client of a cluster: one made here, on this machine, or one that exists.

    A cluster made here is of no use to anyone else (`cosim.quiet_cluster`). A scheduler
    that exists is trusted: what it answers is unpickled, which can execute anything.

    Parameters
    ----------
    workers
        Processes of a new local cluster, each with one thread.
    scheduler
        Address of an existing cluster, such as `tcp://host:8786`, whose workers have this project
        installed; `workers` is then ignored.

    Raises
    ------
    InputError
        `workers` is out of range, or there is no such scheduler.
    """
    import dask
    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.WARNING)
    if not 1 <= workers <= MOST_WORKERS:
        bound = "at least 1" if workers < 1 else f"at most {MOST_WORKERS}"
        raise InputError(f"workers must be {bound}, not {workers}")
    settings = {
        "distributed.scheduler.allowed-failures": LOSSES,
        # Samples of what workers do and of the machine's load, which nobody looks at.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.system-monitor.interval": "10s",
    }
    with dask.config.set(settings):
        if scheduler is not None:
            require_scheduler(scheduler)
            try:
                client = Client(scheduler, timeout=CONNECT_SECONDS)
            except (OSError, ValueError, TypeError) as error:
                raise _no_cluster(scheduler, error) from error
            with client:
                yield client
            return
        from gscn.cosim.quiet_cluster import quiet_cluster

        with contextlib.ExitStack() as stack:
            stack.enter_context(safe_import_path())
            # By default a folder of all users' that everybody knows, in which data are pickled.
            directory = stack.enter_context(temporary_folder("gscn-dask-"))
            # Threads that are started in the context start the workers, also those that replace
            # others.
            with deaf_children():
                cluster = quiet_cluster(workers, directory)
            stack.enter_context(cluster)
            client = stack.enter_context(Client(cluster, security=cluster.security))
            client.register_plugin(_ending_with_parent())
            yield client


def require_scheduler(address: str) -> None:
    """Raise `InputError` unless something at an address answers as Dask does, in bounded time.

    The client itself waits much longer for one that takes connections and says nothing.

    Parameters
    ----------
    address
        `tcp://HOST:PORT`, or `tls://HOST:PORT` with the certificates of Dask's configuration.
    """
    from distributed.comm import connect as open_comm
    from distributed.comm import get_address_host_port
    from distributed.security import Security

    async def greet() -> None:
        security = Security().get_connection_args("client")
        if address.startswith("tls:") and security.get("ssl_context") is None:
            raise ValueError(
                "certificates are needed for tls, of Dask's configuration distributed.comm.tls"
            )
        comm = await open_comm(address, timeout=CONNECT_SECONDS, **security)
        comm.abort()

    try:
        if not re.fullmatch(r"(tcp|tls)://[^/\s]+", address):
            raise ValueError("it must be tcp://HOST:PORT or tls://HOST:PORT")
        get_address_host_port(address, strict=True)
        asyncio.run(asyncio.wait_for(greet(), CONNECT_SECONDS))
    except TimeoutError as error:
        raise _no_cluster(
            address, f"nothing there answers as a scheduler within {CONNECT_SECONDS} s"
        ) from error
    # What a peer may answer is not bounded: messages of any kind, and none of it is ours.
    except Exception as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, reason: object) -> InputError:
    return InputError(
        f"scheduler must be the address of a cluster, not {address[:200]}: {str(reason)[:300]}"
    )


def _ending_with_parent() -> WorkerPlugin:
    """Return what has a worker killed with the process that made it, whatever it calculates.

    Dask's workers see that themselves, but only when Python's interpreter lets another thread run.
    """
    from distributed import WorkerPlugin

    class EndingWithParent(WorkerPlugin):
        def setup(self, worker: object) -> None:  # noqa: ARG002
            end_with_parent()

    return EndingWithParent()


@takes_text
def check_distributed(
    client: Client,
    config: ArrayConfig,
    inputs: Sequence[PassInput],
    *,
    output_width: int = 32,
    result_format: FloatFormat = FLOAT32,
    latency: int = READ_LATENCY,
    build_root: Path | None = None,
    finished: Finished | None = None,
) -> list[PassOutcome]:
    """Run passes on the workers of a cluster, as `cosim.layer.check_passes` does in one process.

    Parameters
    ----------
    client
        As `connect` yields it.
    config
        The accelerator. Its simulator is built here first; other machines build their own.
    inputs, output_width, result_format, latency
        As of `cosim.layer.check_passes`; the largest are started first.
    build_root
        Directory of the simulators, here and on the workers, as of `cosim.builds.simulator.build`.
    finished
        Called in this process with the outcome of each pass, as they end.

    Returns
    -------
    list of PassOutcome
        In the order of the inputs, without the memories of the launches.

    Raises
    ------
    InputError, SimulationError
        As `cosim.layer.check_passes`.
    """
    from distributed import as_completed

    # Workers have current directories of their own.
    build_root = None if build_root is None else build_root.absolute()
    build(config, build_root=build_root)
    work = [np.count_nonzero(one.first) * np.count_nonzero(one.second) for one in inputs]
    futures = {}
    for index in sorted(range(len(inputs)), key=lambda number: -work[number]):
        one = inputs[index]
        future = client.submit(
            check_on_worker, config, one, output_width, result_format, latency, build_root,
            key=f"{one.layer} {one.which} {index} {uuid.uuid4().hex}",
        )  # fmt: skip
        futures[future] = index
    outcomes: dict[int, PassOutcome] = {}
    try:
        for future in as_completed(futures):
            outcome = future.result()
            outcomes[futures[future]] = outcome
            if finished is not None:
                finished(outcome)
    finally:
        client.cancel(list(futures))
    return [outcomes[index] for index in range(len(inputs))]
