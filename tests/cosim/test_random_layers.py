"""Layers drawn at random: lowering, generated Verilog, torch and cycle model agree."""

from dataclasses import replace

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cosim.builds.simulator import build
from gscn.cosim.conditions import Conditions
from gscn.cosim.layer import PassInput, check_passes
from gscn.errors import InputError
from gscn.golden.oracle.synthetic import random_operands

pytestmark = pytest.mark.cosim

DENSITIES = (0.0, 0.02, 0.1, 0.3, 1.0)


def int8(config):
    return replace(config, operand_format="int8", acc_width=32)


def random_shape(rng):
    """Return a layer over all that a convolution can have, small enough to simulate in no time."""
    while True:
        pick = rng.integers
        groups = int(rng.choice([1, 1, 1, 2, 3, 17]))
        most = 8 if groups < 17 else 2
        try:
            return ConvShape(
                n=int(pick(1, 4)),
                c=groups * min(most, int(rng.choice([1, 1, 2, 3, 5, 8]))),
                h=int(pick(1, 14)),
                w=int(pick(1, 14)),
                k=groups * min(most, int(rng.choice([1, 2, 3, 4, 7]))),
                r=int(pick(1, 8)),
                s=int(pick(1, 8)),
                stride=(int(pick(1, 4)), int(pick(1, 4))),
                padding=(int(pick(0, 4)), int(pick(0, 4))),
                dilation=(int(pick(1, 3)), int(pick(1, 3))),
                groups=groups,
            )
        except InputError:
            continue  # a kernel that does not fit its input


def random_inputs(config, rng, layers):
    inputs = []
    for number in range(layers):
        shape = random_shape(rng)
        for which in Pass:
            first, second = random_operands(
                shape,
                which,
                float(rng.choice(DENSITIES)),
                float(rng.choice(DENSITIES)),
                config.format,
                int(rng.integers(1 << 30)),
                extreme=bool(rng.random() < 0.3),
            )
            inputs.append(
                PassInput(layer=f"{number}: {shape}", shape=shape, which=which,
                          first=first, second=second)
            )  # fmt: skip
    return inputs


def check(config, seed, layers, output_width, stalls, *, axi):
    rng = np.random.default_rng(seed)
    outcomes = check_passes(
        config,
        random_inputs(config, rng, layers),
        Conditions(
            latency=int(rng.integers(2, 60)), stall_probability=stalls, seed=seed, random_init=True
        ),
        output_width=output_width,
        simulator=build(config, axi=axi),
    )
    for outcome in outcomes:
        where = f"seed {seed}, {config.digest()}, {outcome.source.which} {outcome.source.layer}"
        assert outcome.comparison.good, f"{where}: {outcome.comparison.details}"
        if outcome.model is not None:
            assert outcome.model.cycles == outcome.run.cycles, where
            assert outcome.model.by_cause() == {
                name: sum(values) for name, values in outcome.run.counters.items()
            }, where
            assert outcome.model.by_event() == {
                name: sum(values) for name, values in outcome.run.events.items()
            }, where


CASES = [
    pytest.param(ARRAYS["tiny"], id="tiny"),
    pytest.param(ARRAYS["small"], id="small"),
    pytest.param(int8(ARRAYS["tiny"]), id="tiny, int8"),
    pytest.param(replace(ARRAYS["tiny"], clusters=3, ports=2), id="two ports"),
]
BOTH_WAYS = pytest.mark.parametrize("axi", [False, True], ids=["own ports", "AXI"])


FEW = [
    pytest.param(*case.values, axi, id=f"{case.id}{', AXI' * axi}")
    for case in CASES
    for axi in (False, True)
    # The buses know nothing of operands and of what is in a cluster, and several ports are the same
    # core with and without them: one way is left to the slow tier, and a simulator less is built.
    if (case.id, axi) not in (("small", True), ("tiny, int8", True), ("two ports", False))
]


@pytest.mark.parametrize(("config", "axi"), FEW)
def test_random_layers_equal_torch(config, axi):
    # Without pauses the cycle model says every counter; the slow tier has both for each.
    output_width, stalls = (16, 0.3) if axi else (32, 0.0)
    check(config, 2024, 8, output_width, stalls, axi=axi)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("config", [*CASES, pytest.param(int8(ARRAYS["small"]), id="small, int8")])
@BOTH_WAYS
def test_many_random_layers_equal_torch(config, seed, axi):
    check(config, seed, 40, (16, 32)[seed % 2], (0.0, 0.0, 0.2, 0.6)[seed % 4], axi=axi)
