"""Lists of passes give the same wherever their parts lie in the address space."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gscn.cosim import Conditions, run
from gscn.cosim.simulation import Region
from gscn.errors import InputError
from gscn.pass_errors import PassError
from gscn.passes import Mode
from tests.cosim.lists import modelled
from tests.cosim.scattered import scattered
from tests.cosim.test_launch import INTEGERS
from tests.pass_programs import TINY, random_program

pytestmark = pytest.mark.cosim


def programs(config, seeds):
    return [random_program(seed, 1, config=config, mode=mode) for mode in Mode for seed in seeds]


def check(config, lists, conditions, *, apart):
    """Run lists with their parts elsewhere, and compare memory with the model's."""
    rng = random.Random(f"{apart}")
    moved, regions = zip(*(scattered(one, rng, apart=apart) for one in lists), strict=True)
    runs = run(config, moved, conditions, regions=regions)
    for number, (program, other, done) in enumerate(zip(lists, moved, runs, strict=True)):
        expected = modelled(program)
        assert expected.error == done.error_code == PassError.NONE
        # nothing but the descriptors differs
        wanted = np.where(other.image != program.image, other.image, expected.memory)
        wrong = np.flatnonzero(done.memory != wanted)
        assert wrong.size == 0, f"list {number}: {wrong.size} bytes from {wrong[:4]} on"
    return runs


@pytest.mark.parametrize("config", [INTEGERS, TINY], ids=["integers behind AXI", "floats"])
def test_parts_of_lists_may_lie_anywhere_and_cycles_do_not_change(config):
    lists = programs(config, range(6))
    conditions = Conditions(axi=config == INTEGERS)
    moved = check(config, lists, conditions, apart=False)
    for one, other in zip(run(config, lists, conditions), moved, strict=True):
        for name in ("cycles", "counters", "flags", "read_beats", "write_beats"):
            assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize("config", [INTEGERS, TINY], ids=["integers behind AXI", "floats"])
def test_results_may_lie_far_apart(config):
    check(config, programs(config, range(6)), Conditions(axi=config == INTEGERS), apart=True)


def test_a_list_in_no_region_and_regions_for_other_launches_are_named():
    program = programs(INTEGERS, (1,))[0]
    with pytest.raises(InputError, match=r"must have an entry per program, 1, not 2"):
        run(INTEGERS, [program], regions=[(), ()])
    with pytest.raises(InputError, match=r"the list at byte \d+ of memory must lie in a region"):
        run(INTEGERS, [program], regions=[[Region(1 << 20, 0, 64)]])
