"""What is behind the ports."""

from __future__ import annotations

import pytest

from gscn.dram import Dram
from gscn.errors import InputError


def test_cycles_are_those_of_the_bytes():
    assert Dram(bytes_per_cycle=4.0, buffer_bytes=1 << 20).cycles(10) == 2.5


def test_every_problem_of_a_dram_is_named():
    with pytest.raises(InputError, match="bytes per cycle must be over 0, not 0; buffer_bytes"):
        Dram(bytes_per_cycle=0, buffer_bytes=-1)
