"""A Dask cluster on this machine that nobody else can use: encrypted, and without HTTP servers.

Whoever reaches a Dask scheduler or worker can have it execute anything. Those of this cluster
accept only connections with its own certificates, made anew each time and known to this process
and its workers alone; and they do not open the HTTP ports that Dask's open even with their
dashboards switched off.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from distributed import Nanny, Scheduler, SpecCluster, Worker
from distributed.http.routing import RoutingApplication
from distributed.security import Security
from tornado.httpserver import HTTPServer

HOST = "127.0.0.1"


class _Quiet:
    """Makes the HTTP server of a node of Dask, and does not have it listen."""

    def start_http_server(self, routes: list, *_: object, **__: object) -> None:
        """Make a server without a port."""
        self.http_application = RoutingApplication(routes)
        self.http_server = HTTPServer(self.http_application)


class QuietScheduler(_Quiet, Scheduler):
    """A scheduler without an HTTP port."""


class QuietWorker(_Quiet, Worker):
    """A worker without an HTTP port."""


class QuietNanny(Nanny):
    """Starts a quiet worker in a process of its own, and another if that is lost."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, worker_class=QuietWorker, **options)


def quiet_cluster(workers: int, directory: Path) -> SpecCluster:
    """Return a new cluster; closing it ends its processes.

    Parameters
    ----------
    workers
        Processes, each with one thread.
    directory
        Where the workers keep what they do not keep in memory.
    """
    common = {
        "host": HOST,
        "protocol": "tls://",
        "security": Security.temporary(),
        "dashboard": False,
        "dashboard_address": None,
    }
    worker = {
        "cls": QuietNanny,
        "options": {
            **common,
            "nthreads": 1,
            "local_directory": str(directory),
            "memory_limit": 1 / workers,
            "silence_logs": logging.WARNING,
        },
    }
    return SpecCluster(
        scheduler={"cls": QuietScheduler, "options": {**common, "port": 0}},
        workers=dict.fromkeys(range(workers), worker),
        security=common["security"],
        name="gscn",
        silence_logs=logging.WARNING,
    )
