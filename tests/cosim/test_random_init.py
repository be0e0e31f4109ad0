# amaranth: UnusedElaboratable=no
"""Memories and registers without initial value start random, and the core clears what matters."""

from unittest import mock

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from gscn.array import ARRAYS
from gscn.cosim import Conditions, run
from gscn.cosim.builds.simulator import build
from gscn.emulator.passes import run_passes
from gscn.hw.cluster.summing import SummingDrain
from gscn.hw.core.array import Array
from gscn.hw.shared import flat_ports
from tests.pass_programs import random_program

pytestmark = [pytest.mark.cosim, pytest.mark.slow]

CONFIG = ARRAYS["tiny"]
SEEDS = (31, 32, 33)


class Uncleared(wiring.Component):
    """A drain whose walk after reset takes its time and clears nothing."""

    def __init__(self, *, config):
        self.inner = SummingDrain(config=config)
        super().__init__(self.inner.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = self.inner
        inner = flat_ports(self.inner)
        for name, (outer, direction) in flat_ports(self).items():
            if direction == "i":
                m.d.comb += inner[name][0].eq(outer)
            elif name != "drain":
                m.d.comb += outer.eq(inner[name][0])
        m.d.comb += [
            self.drain.eq(self.inner.drain),
            self.drain.en.eq(self.inner.drain.en & self.inner.initialized),
        ]
        return m


@pytest.fixture(scope="module")
def programs():
    return [random_program(seed, 1, config=CONFIG) for seed in SEEDS]


@pytest.fixture(scope="module")
def uncleared_simulator():
    with mock.patch("gscn.hw.cluster.worker_cluster.SummingDrain", Uncleared):
        return build(CONFIG, create=lambda config: Array(config=config))


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
