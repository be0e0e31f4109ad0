"""Fixtures and settings that every test shares."""

from __future__ import annotations

import gc
import os
from pathlib import Path

# One thread per test process: pytest-xdist already fills the cores, and sums in a fixed order stay
# the same on every machine. Set before anything imports torch or numpy.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Simulators and compiled functions are kept in the checkout, where `make clean` removes them, and
# shared by all test processes and runs.
os.environ.setdefault(
    "GSCN_BUILD_DIR", str(Path(__file__).resolve().parents[1] / "build" / "cache")
)

import numpy as np
import pytest
from amaranth.hdl import _nir  # what takes long in it has no public names
from amaranth.hdl._ast import Operator
from hypothesis import settings

from tests import quick_simulator

# The same examples in every run, printed so that they can be replayed; no deadline, because the
# first example of a compiled model pays for its compilation.
settings.register_profile("default", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("default")


def _remember_shapes() -> None:
    """Have each operator work out its shape once; operands and their shapes never change.

    Amaranth asks for it at every level of an expression, each time down to the signals: a fifth of
    the time in which a simulator of a component is made.
    """
    work_out = Operator.shape

    def shape(self: Operator) -> object:
        known = self.__dict__.get("_known_shape")
        if known is None:
            known = self._known_shape = work_out(self)
        return known

    Operator.shape = shape


def _trust_nets() -> None:
    """Have values of netlists take nets as they are.

    Amaranth asserts the type of each net again whenever a value is made or cut, which takes a
    third of the time in which a netlist is made.
    """

    def make(cls: type, nets: object = ()) -> object:
        return tuple.__new__(cls, (nets,) if isinstance(nets, _nir.Net) else nets)

    _nir.Value.__new__ = make


_remember_shapes()
_trust_nets()
quick_simulator.install()


LONGEST = (
    *("cosim", "command/test_cosim.py", "benchmarks/test_gpu.py", "hw/test_docstrings.py"),
    *("rtl_gen", "hw", "command", "cycles"),
)
"""Folders and files that take longest, which begin first: a worker has a file to itself."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it at the end."""
    here = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(here).as_posix()
        return next(
            (place for place, name in enumerate(LONGEST) if f"{path}/".startswith(f"{name}/")),
            len(LONGEST),
        )

    items.sort(key=place)  # others, and those of one place, stay in their order


def pytest_collection_finish() -> None:
    """Have the garbage collector look at what tests make, seldom, and never at modules and tests.

    Netlists are hundreds of thousands of objects that live until the end, in which the collector
    else spends half of the time that their making takes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 10)


@pytest.fixture
def rng() -> np.random.Generator:
    """Generator with a fixed seed."""
    return np.random.default_rng(2024)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the repository."""
    return Path(__file__).resolve().parents[1]
