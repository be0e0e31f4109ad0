# amaranth: UnusedElaboratable=no
"""Memories and registers without initial value start random, and the core clears what matters."""

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.cosim import Conditions, run
from gscn.cosim.builds.simulator import build
from gscn.emulator.passes import run_passes
from tests.pass_programs import random_program
from tests.rtl_gen.clearing import create, uncleared

pytestmark = [pytest.mark.cosim, pytest.mark.slow]

CONFIG = ARRAYS["tiny"]
SEEDS = (31, 32, 33)


@pytest.fixture(scope="module")
def programs():
    return [random_program(seed, 1, config=CONFIG) for seed in SEEDS]


@pytest.fixture(scope="module")
def uncleared_simulator():
    with uncleared():
        return build(CONFIG, create=create)


def mismatches(programs, simulator, *, random_init=False):
    """Return wrong bytes of each launch, each in a process of its own."""
    found = []
    for seed, program in enumerate(programs):
        conditions = Conditions(seed=seed, random_init=random_init)
        (result,) = run(CONFIG, [program], conditions, simulator=simulator)
        right = run_passes(
            CONFIG, program.image, program.descriptors_addr, program.count, program.memory_bytes
        )
        found.append(int(np.count_nonzero(result.memory != right.memory)))
    return found


def test_without_clearing_random_memories_reach_the_results(programs, uncleared_simulator):
    # From zeros the first job of each bank is right by luck; from random bits it cannot be.
    zeros = mismatches(programs, simulator=uncleared_simulator)
    random = mismatches(programs, simulator=uncleared_simulator, random_init=True)
    assert zeros == [0] * len(programs)
    assert all(random)


def test_results_and_cycles_do_not_depend_on_initial_bits(programs):
    simulator = build(CONFIG)
    assert mismatches(programs, simulator=simulator, random_init=True) == [0] * len(programs)
    for seed in range(2):
        (plain,) = run(CONFIG, programs[:1], simulator=simulator)
        (random,) = run(
            CONFIG, programs[:1], Conditions(seed=seed, random_init=True), simulator=simulator
        )
        assert np.array_equal(plain.memory, random.memory)
        assert (plain.cycles, plain.counters) == (random.cycles, random.counters)
