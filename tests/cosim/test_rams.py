# amaranth: UnusedElaboratable=no
"""Memories that show anything of a row read while it is written change no bit and no cycle."""

from unittest import mock

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.cosim import Conditions, run
from gscn.cosim.builds.simulator import build
from gscn.emulator.passes import run_passes
from tests.cosim.test_lists import small_runs
from tests.hw.hostile import create_machine, hostile
from tests.pass_programs import random_program
from tests.rtl_gen.clearing import create

pytestmark = [pytest.mark.cosim, pytest.mark.slow]

CONFIG = ARRAYS["tiny"]


@pytest.fixture(scope="module")
def programs():
    return [random_program(seed, 1, config=CONFIG) for seed in range(31, 37)]


def launched(programs, simulator):
    """Return whether the memory is right, and what was counted, of each program."""
    found = []
    for seed, program in enumerate(programs):
        conditions = Conditions(seed=seed, random_init=True)
        (result,) = run(CONFIG, [program], conditions, simulator=simulator)
        right = run_passes(
            CONFIG, program.image, program.descriptors_addr, program.count, program.memory_bytes
        )
        equal = np.array_equal(result.memory, right.memory)
        found.append((equal, result.cycles, result.counters))
    return found


def test_no_pass_needs_a_row_in_the_cycle_in_which_it_is_written(programs):
    with hostile():
        simulator = build(CONFIG, create=create)
    found = launched(programs, simulator)
    assert all(equal for equal, *_ in found)
    assert found == launched(programs, build(CONFIG))


def test_accumulators_that_always_show_inverted_reach_the_results(programs):
    with hostile(broken=CONFIG.acc_width):
        simulator = build(CONFIG, create=create)
    assert not any(equal for equal, *_ in launched(programs, simulator))


def test_no_encode_pass_and_no_list_needs_it():
    def simulator_of(config, axi):
        assert not axi
        with hostile():
            return build(config, lists=True, create=create_machine)

    with mock.patch("tests.step_machines.simulator_of", simulator_of):
        runs, steps = small_runs("both", together=True)
        for way, batch in [*steps][:2]:
            runs.run(way, *batch)
    assert all(one.stops > 0 for one in runs.flags)
