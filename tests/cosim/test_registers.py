"""Every bit of every register behind AXI4-Lite, through a host model that others wrote."""

from __future__ import annotations

import pytest

from gscn.array import ARRAYS
from tests.cosim.axi_simulator import build_axi, simulate

pytestmark = pytest.mark.cosim


def test_every_bit_of_every_register_is_what_its_description_says(tmp_path):
    log = simulate(build_axi(ARRAYS["tiny"]), tmp_path, "tests.cosim.register_bench")
    assert (tmp_path / "passed").is_file(), log
