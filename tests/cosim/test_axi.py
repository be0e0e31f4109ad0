"""The accelerator behind AXI, in Verilog, with host and memory models of cocotbext-axi."""

import numpy as np
import pytest

from gscn.config import PRESETS
from gscn.conv import ConvShape, Pass
from gscn.cosim import compare
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.error_codes import NO_PHASE
from gscn.formats import INT32
from gscn.golden.oracle.integers import conv_integers
from gscn.golden.oracle.quantize import requantize
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering import lower
from gscn.program import OutputFormat
from gscn.records import PHASE_DESCRIPTOR, QUEUE_ENTRY, queue_entries, segment_descriptors
from gscn.registers import ID_VALUE, VERSION_VALUE, ErrorCode, register
from tests.cosim.axi_simulator import Scenario, build_axi, run_axi
from tests.programs import random_program

pytestmark = pytest.mark.cosim

CONFIG = PRESETS["tiny"]
PAUSES = (0.0, 0.3, 0.7)
SHAPE = ConvShape(n=1, c=3, h=6, w=5, k=4, r=3, s=3, padding=(1, 1))
DONE, ERROR = 1, 2
SLVERR = 2


def status(**fields):
    return sum(register("STATUS").field(name).mask for name, on in fields.items() if on)


def descriptors(program):
    """Return (job descriptor, its segments) of every job of a launch."""
    found = []
    for phase in program.phases:
        for entry in queue_entries(program.image, phase.queue_addr, phase.job_count):
            found.append((entry["job"], segment_descriptors(program.image, entry)))
    return found


@pytest.fixture(scope="module")
def convolution():
    operands = random_operands(SHAPE, Pass.FORWARD, 0.4, 0.4, CONFIG.format, 3)
    program = lower(CONFIG, SHAPE, Pass.FORWARD, *operands, out=OutputFormat(width=32))
    expected = requantize(conv_integers(SHAPE, Pass.FORWARD, *operands), 0, INT32)[0].astype(
        np.int64
    )
    return program, expected


@pytest.fixture(scope="module")
def broken():
    """A launch of one phase, and ranges of its memory to be answered with errors."""
    program = next(
        program
        for program in (random_program(CONFIG, seed, phases=1) for seed in range(100, 200))
        if any(s["stream_count"] > 8 for _, segments in descriptors(program) for s in segments)
    )
    stream = next(
        int(segment["stream_addr"])
        for _, segments in descriptors(program)
        for segment in segments
        if segment["stream_count"] > 8
    )
    beat = CONFIG.mem_bytes
    queue = program.phases[0].queue_addr
    first, end = program.output_ranges[0]
    return program, {
        "stream": (stream + beat, stream + 2 * beat),
        "results": (first, end),
        "queue": (queue, queue + QUEUE_ENTRY.itemsize * program.phases[0].job_count),
    }


@pytest.fixture(scope="module")
def runs(convolution, broken):
    """Every scenario, in one simulation: each begins with a clear, whatever was before."""
    program, ranges = broken
    scenarios = {
        f"random {number}": Scenario(
            program=random_program(CONFIG, 10 + number), pause_share=share, seed=number
        )
        for number, share in enumerate((*PAUSES, *PAUSES[1:]))
    }
    for number, share in enumerate(PAUSES):
        scenarios[f"list {number}"] = Scenario(
            program=random_program(CONFIG, 50 + number, phases=2 + number),
            pause_share=share,
            seed=50 + number,
            one_start=True,
        )
    listed = random_program(CONFIG, 60, phases=3)
    third = listed.phases_addr + 2 * PHASE_DESCRIPTOR.width // 8
    scenarios["broken list"] = Scenario(
        program=listed, broken=[(third, third + 64)], pause_share=0.2, seed=60, one_start=True
    )
    scenarios["after list"] = Scenario(program=listed, pause_share=0.2, seed=61, one_start=True)
    scenarios["convolution"] = Scenario(program=convolution[0], pause_share=0.3, seed=20)
    for number, (name, addresses) in enumerate(ranges.items()):
        scenarios[f"broken {name}"] = Scenario(
            program=program, broken=[addresses], pause_share=0.2, seed=30 + number
        )
        scenarios[f"after {name}"] = Scenario(program=program, pause_share=0.2, seed=40 + number)
    identity, outcomes = run_axi(build_axi(CONFIG), CONFIG, list(scenarios.values()))
    return identity, {
        name: (scenario.program, outcome)
        for (name, scenario), outcome in zip(scenarios.items(), outcomes, strict=True)
    }


GOOD = [f"random {n}" for n in range(2 * len(PAUSES) - 1)]
LISTS = [*(f"list {n}" for n in range(len(PAUSES))), "after list"]
BROKEN = ["stream", "results", "queue"]


def test_the_host_recognizes_the_accelerator(runs):
    identity, _ = runs
    digest = f"{identity['digest']:016x}"
    assert (identity["id"], identity["version"]) == (ID_VALUE, VERSION_VALUE)
    assert digest == CONFIG.digest()


@pytest.mark.parametrize("name", [*GOOD, *LISTS, *(f"after {name}" for name in BROKEN)])
def test_random_launches_equal_the_law(runs, name):
    program, outcome = runs[1][name]
    comparison = compare(
        program.result(outcome.memory),
        program.oracle(),
        written=outcome.written,
        output_ranges=program.output_ranges,
    )
    assert comparison.good, comparison.details
    assert outcome.status == status(
        done=True,
        saturated=program.saturated,
        accumulator_overflow=program.overflowed,
        nonfinite=program.nonfinite,
    )
    assert (outcome.error, outcome.bus_error, outcome.bus_error_addr) == (ErrorCode.NONE, 0, 0)


@pytest.mark.parametrize("name", GOOD)
def test_every_phase_interrupts_at_its_end(runs, name):
    program, outcome = runs[1][name]
    assert len(outcome.events) == len(program.phases)
    for events in outcome.events:
        assert [bool(event & DONE) for event in events] == [False] * (len(events) - 1) + [True]
    # an overflow is an event of its own
    errors = sum(bool(event & ERROR) for events in outcome.events for event in events)
    assert errors == program.overflowed
    assert outcome.interrupt_after == 0


@pytest.mark.parametrize("name", LISTS)
def test_a_list_interrupts_once_at_its_end(runs, name):
    program, outcome = runs[1][name]
    (events,) = outcome.events
    assert [bool(event & DONE) for event in events] == [False] * (len(events) - 1) + [True]
    assert outcome.phase == len(program.phases) - 1
    assert outcome.error_phase == NO_PHASE


def test_a_descriptor_that_the_bus_refuses_ends_the_list(runs):
    program, outcome = runs[1]["broken list"]
    assert not any(event & DONE for event in outcome.events[0])
    assert outcome.error == ErrorCode.BUS_READ
    # it is fetched during the phase before, of which the results may be in memory
    assert outcome.error_phase in (1, 2)
    assert outcome.bus_error == SLVERR << 4
    third = program.phases_addr + 2 * PHASE_DESCRIPTOR.width // 8
    assert third <= outcome.bus_error_addr < third + 64
    last = program.phases[2]
    assert not outcome.written[last.out_addr : last.out_end].any()


@pytest.mark.parametrize("name", [*GOOD, "after queue"])
def test_counters_are_those_of_the_launch(runs, name):
    program, outcome = runs[1][name]
    *counters, cycles = outcome.counters
    names = len(CLUSTER_COUNTER_NAMES)
    busy = sum(counters[CLUSTER_COUNTER_NAMES.index("busy") :: names])
    assert busy == program.products
    for cluster in range(CONFIG.clusters):
        own = counters[cluster * names : (cluster + 1) * names]
        assert sum(own) == cycles * CONFIG.pes_per_cluster


def test_a_convolution_equals_torch(runs, convolution):
    program, outcome = runs[1]["convolution"]
    comparison = compare(
        program.result(outcome.memory),
        convolution[1],
        written=outcome.written,
        output_ranges=program.output_ranges,
    )
    assert comparison.good, comparison.details
    assert outcome.status == status(done=True)
    assert outcome.events == [[DONE]] * len(program.phases)


@pytest.mark.parametrize("name", BROKEN)
def test_a_bus_error_is_reported(runs, broken, name):
    program, outcome = runs[1][f"broken {name}"]
    first, end = broken[1][name]
    writes = name == "results"
    assert outcome.events[0][0] & ERROR
    assert outcome.status & status(bus_error=True)
    assert outcome.error == (ErrorCode.BUS_WRITE if writes else ErrorCode.BUS_READ)
    assert outcome.bus_error == SLVERR << 4 | writes
    # of a written burst, its first byte is known
    slack = (CONFIG.burst_beats - 1) * CONFIG.mem_bytes if writes else 0
    assert first - slack <= outcome.bus_error_addr < end
    outside = np.ones(program.memory_bytes, dtype=bool)
    for low, high in program.output_ranges:
        outside[low:high] = False
    assert not (outcome.written & outside).any()


@pytest.mark.parametrize("name", BROKEN)
def test_a_bus_error_stops_the_phase(runs, name):
    _, outcome = runs[1][f"broken {name}"]
    assert not any(event & DONE for event in outcome.events[0])
    assert outcome.status & status(busy=True, done=True) == 0
