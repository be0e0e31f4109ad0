"""Lists of passes with a wrong bit are harmless or reported, and the next list runs right."""

from __future__ import annotations

import pytest

from gscn.cosim import Conditions, run
from gscn.pass_errors import PassError
from tests.cosim.lists import damaged_lists, fault_of
from tests.cosim.test_launch import INTEGERS, PORTS, WIDE, programs
from tests.pass_programs import TINY

pytestmark = pytest.mark.cosim


def check(config, count, *, bases=30):
    """Run damaged lists, each one before a small whole one, without a reset between them."""
    lists = damaged_lists(programs(config, range(bases), 1), 11, count)
    small = programs(config, range(bases), 0)
    both = [one for n, damaged in enumerate(lists) for one in (damaged, small[n % len(small)])]
    conditions = Conditions(axi=True, reset=False, faulty=True, timeout_cycles=400_000)
    runs = run(config, both, conditions, check=False)
    faults = {
        f"list {number // 2}" + ", the one after it" * (number % 2): fault
        for number, (program, done) in enumerate(zip(both, runs, strict=True))
        if (fault := fault_of(program, done, bus_errors=True))
    }
    assert faults == {}
    return {one.error_code for one in runs}


def test_damaged_lists_are_harmless_or_reported():
    found = check(INTEGERS, 30, bases=10)
    assert found >= {PassError.NONE, PassError.TABLE, PassError.STRIP}
    assert len(found) > 5


@pytest.mark.slow
@pytest.mark.parametrize("config", [TINY, WIDE, PORTS], ids=["floats", "teams", "two ports"])
def test_many_damaged_lists_are_harmless_or_reported(config):
    """A mask with a channel that its chunk lacks is among them: list 131 of the teams."""
    assert len(check(config, 360)) > 10
