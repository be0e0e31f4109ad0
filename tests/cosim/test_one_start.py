"""One start runs all phases of a launch: results, cycles and counters, at either kind of port."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.conv import ConvShape, Pass
from gscn.cosim import Conditions, SimulationError, compare, run
from gscn.cosim.builds.simulator import build
from gscn.cosim.launch import seen_latencies
from gscn.cycles.model import simulate
from gscn.error_codes import ErrorCode
from gscn.formats import INT32
from gscn.golden.oracle.integers import conv_integers
from gscn.golden.oracle.quantize import requantize
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering import LoweringOptions, lower
from gscn.program import OutputFormat
from tests.cosim.test_accelerator import BEHIND_AXI, CONFIGS
from tests.programs import random_program

pytestmark = pytest.mark.cosim

LATENCIES = (2, 20, 150)
SHAPE = ConvShape(n=2, c=4, h=9, w=8, k=5, r=3, s=3, stride=(2, 2), padding=(1, 1))
LAUNCHES = 12
CASES = [
    *(pytest.param((name, False), id=name) for name in CONFIGS),
    *(pytest.param((name, True), id=f"{name}, AXI") for name in BEHIND_AXI),
]


@pytest.fixture(scope="module", params=CASES)
def simulator(request):
    name, axi = request.param
    return build(CONFIGS[name], axi=axi)


def assert_as_modelled(program, result, latencies, where):
    model = simulate(program, **latencies, one_start=True)
    assert model.cycles == result.cycles, where
    for index, (name, values) in enumerate(result.counters.items()):
        assert model.counters[:, index].tolist() == values, f"{where}: {name}"
    assert (model.read_beats, model.write_beats) == (result.read_beats, result.write_beats), where


@pytest.mark.parametrize("latency", [2, 20, pytest.param(150, marks=pytest.mark.slow)])
def test_random_launches_equal_law_and_model(simulator, latency):
    config = simulator.config
    programs = [
        random_program(config, 300 + latency + seed, phases=1 + seed % 4, jobs=1 + seed % 5)
        for seed in range(LAUNCHES)
    ]
    results = run(
        config, programs, Conditions(latency=latency, one_start=True), simulator=simulator
    )
    for program, result in zip(programs, results, strict=True):
        comparison = compare(
            program.result(result.memory),
            program.oracle(),
            written=result.written,
            output_ranges=program.output_ranges,
        )
        where = f"latency {latency}, {len(program.phases)} phases, {config.digest()}"
        assert comparison.good, f"{where}: {comparison.details}"
        assert_as_modelled(program, result, seen_latencies(latency, axi=simulator.axi), where)


@pytest.mark.parametrize(
    "latency",
    [
        LATENCIES[0],
        *(pytest.param(latency, marks=pytest.mark.slow) for latency in LATENCIES[1:]),
    ],
)
def test_launches_in_turn_equal_law_and_model(simulator, latency):
    config = simulator.config
    jobs = 4 * config.clusters
    programs = [
        random_program(
            config, 500 + latency + seed, phases=3, jobs=jobs, in_turn=(True, seed % 2 == 1)
        )
        for seed in range(LAUNCHES // 4)
    ]
    results = run(
        config, programs, Conditions(latency=latency, one_start=True), simulator=simulator
    )
    for program, result in zip(programs, results, strict=True):
        where = f"latency {latency}, {config.digest()}"
        assert np.array_equal(program.result(result.memory), program.oracle()), where
        assert_as_modelled(program, result, seen_latencies(latency, axi=simulator.axi), where)


def test_random_launches_equal_the_law_whatever_memory_does(simulator):
    config = simulator.config
    programs = [random_program(config, 400 + seed, phases=3, jobs=3) for seed in range(LAUNCHES)]
    results = run(
        config,
        programs,
        Conditions(latency=2, stall_probability=0.5, random_init=True, one_start=True, seed=4),
        simulator=simulator,
    )
    for program, result in zip(programs, results, strict=True):
        assert np.array_equal(program.result(result.memory), program.oracle())


@pytest.fixture(scope="module", params=[False, True], ids=["own ports", "AXI"])
def tiny(request):
    return build(CONFIGS["tiny"], axi=request.param)


@pytest.mark.parametrize("latency", LATENCIES)
def test_a_split_weight_gradient_equals_torch_and_model(tiny, latency):
    config = tiny.config
    operands = random_operands(SHAPE, Pass.WEIGHT_GRAD, 0.4, 0.5, config.format, 8)
    options = LoweringOptions(contraction_parts=3)
    out = OutputFormat(width=32)
    program = lower(config, SHAPE, Pass.WEIGHT_GRAD, *operands, out, options)
    assert len(program.phases) == 2
    (alone,) = run(config, [program], Conditions(latency=latency), simulator=tiny)
    (listed,) = run(config, [program], Conditions(latency=latency, one_start=True), simulator=tiny)
    comparison = compare(
        program.result(listed.memory),
        requantize(conv_integers(SHAPE, Pass.WEIGHT_GRAD, *operands), 0, INT32)[0].astype(np.int64),
        written=listed.written,
        output_ranges=program.output_ranges,
    )
    assert comparison.good, comparison.details
    assert np.array_equal(listed.memory, alone.memory)
    latencies = seen_latencies(latency, axi=tiny.axi)
    assert_as_modelled(program, listed, latencies, f"latency {latency}")
    assert alone.cycles == simulate(program, **latencies).cycles
    # the same products, and cycles more: the first descriptor's, and one between the phases
    assert listed.counters["busy"] == alone.counters["busy"]
    beats = 64 // config.mem_bytes
    assert listed.cycles > alone.cycles + latencies["latency"] + beats


def test_a_bad_phase_in_a_list_is_an_error(tiny):
    program = random_program(tiny.config, 3)
    image = program.image.copy()
    image[program.phases_addr + 64 + 24] = image[program.phases_addr + 64 + 25] = 0  # job_count
    bad = type(program)(**{**vars(program), "image": image})
    code = ErrorCode.START_JOBS.value
    message = f"ERROR.code must be 0, not {code}" if tiny.axi else f"not error {code} .phase 1 "
    with pytest.raises(SimulationError, match=message):
        run(tiny.config, [bad], Conditions(one_start=True), simulator=tiny)
