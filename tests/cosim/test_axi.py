"""The array behind AXI, in Verilog, with host and memory models of cocotbext-axi."""

import dataclasses

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.counters import CLUSTER_COUNTER_NAMES, COUNTERS_PER_CLUSTER
from gscn.emulator.passes import run_passes
from gscn.formats import INT32
from gscn.golden.oracle.integers import conv_integers
from gscn.golden.oracle.quantize import requantize
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering.pass_image import lower_pass
from gscn.outputs import OutputFormat
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR
from gscn.registers import ID_VALUE, NO_PASS, VERSION_VALUE, register
from tests.cosim.axi_simulator import Scenario, build_axi, run_axi
from tests.pass_programs import random_program

pytestmark = pytest.mark.cosim

CONFIG = ARRAYS["tiny"]
PAUSES = (0.0, 0.3, 0.7)
SHAPE = ConvShape(n=1, c=3, h=6, w=5, k=4, r=3, s=3, padding=(1, 1))
DONE, ERROR = 1, 2
SLVERR = 2


def status(**fields):
    return sum(register("STATUS").field(name).mask for name, on in fields.items() if on)


def descriptors(program):
    first = program.descriptors_addr
    return PASS_DESCRIPTOR.unpack(program.image[first : first + program.count * DESCRIPTOR_BYTES])


def modelled(program):
    return run_passes(
        CONFIG, program.image, program.descriptors_addr, program.count, program.memory_bytes
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listed:
    """What `Scenario` wants of a list of passes."""

    image: np.ndarray
    memory_bytes: int
    descriptors_addr: int
    count: int


@pytest.fixture(scope="module")
def broken():
    """A list of passes, and ranges of its memory to be answered with errors."""
    program = random_program(2, 1, config=CONFIG, count=3)
    one = descriptors(program)[1]
    beat = CONFIG.mem_bytes
    third = program.descriptors_addr + 2 * DESCRIPTOR_BYTES
    return program, {
        "stream": (int(one["t_data"]), int(one["t_data"]) + beat),
        "table": (int(one["s_table"]), int(one["s_table"]) + beat),
        "results": (int(one["out_addr"]), int(one["out_end"])),
        "descriptor": (third, third + 64),
    }


@pytest.fixture(scope="module")
def convolution():
    operands = random_operands(SHAPE, Pass.FORWARD, 0.4, 0.4, CONFIG.format, 3)
    program = lower_pass(CONFIG, SHAPE, Pass.FORWARD, *operands, out=OutputFormat(width=32))
    expected = requantize(conv_integers(SHAPE, Pass.FORWARD, *operands), 0, INT32)[0].astype(
        np.int64
    )
    return program, expected


@pytest.fixture(scope="module")
def runs(convolution, broken):
    """Every scenario, in one simulation: each begins with a clear, whatever was before."""
    program, ranges = broken
    scenarios = {
        f"random {number}": Scenario(
            program=random_program(16 + number, 1, config=CONFIG), pause_share=share, seed=number
        )
        for number, share in enumerate((*PAUSES, *PAUSES[1:]))
    }
    lowered = convolution[0]
    scenarios["convolution"] = Scenario(
        program=Listed(
            image=lowered.image,
            memory_bytes=lowered.memory_bytes,
            descriptors_addr=lowered.descriptors_addr,
            count=lowered.descriptor_count,
        ),
        pause_share=0.3,
        seed=20,
    )
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
BROKEN = ["stream", "table", "results", "descriptor"]


def test_the_host_recognizes_the_array_and_its_sizes(runs):
    identity, _ = runs
    digest = f"{identity['digest']:016x}"
    assert (identity["id"], identity["version"]) == (ID_VALUE, VERSION_VALUE)
    assert digest == CONFIG.digest()
    # by hand: fields of the configuration, but for the formats
    assert identity["sizes"] == {
        "ARRAY.clusters": 2,
        "ARRAY.pes": 2,
        "ARRAY.drain_width": 2,
        "ARRAY.ports": 1,
        "ARRAY_WINDOW.stationary_depth": 256,
        "ARRAY_WINDOW.directory_depth": 256,
        "ARRAY_TILE.acc_depth": 288,
        "ARRAY_TILE.chunks_depth": 16,
        "ARRAY_MEMORY.mem_bytes": 16,
        "ARRAY_MEMORY.burst_beats": 2,
        "ARRAY_MEMORY.addr_width": 32,
        "ARRAY_MEMORY.bus_addr_width": 32,
        "ARRAY_FORMATS.operand_width": 16,
        "ARRAY_FORMATS.acc_width": 48,
        "ARRAY_FORMATS.number_formats": 1,
    }


@pytest.mark.parametrize("name", [*GOOD, *(f"after {name}" for name in BROKEN)])
def test_random_lists_equal_the_model(runs, name):
    program, outcome = runs[1][name]
    expected = modelled(program)
    assert np.array_equal(outcome.memory, expected.memory)
    assert expected.overflow_certain == expected.overflow_possible
    assert outcome.status == status(
        done=True,
        saturated=expected.saturated,
        accumulator_overflow=expected.overflow_certain,
        nonfinite=expected.nonfinite,
    )
    assert (outcome.error, outcome.bus_error, outcome.bus_error_addr) == (PassError.NONE, 0, 0)


@pytest.mark.parametrize("name", GOOD)
def test_a_list_interrupts_once_at_its_end(runs, name):
    program, outcome = runs[1][name]
    events = outcome.events
    assert [bool(event & DONE) for event in events] == [False] * (len(events) - 1) + [True]
    # an overflow is an event of its own
    overflow = modelled(program).overflow_certain
    assert sum(bool(event & ERROR) for event in events) == overflow
    assert outcome.interrupt_after == 0
    assert (outcome.last_pass, outcome.error_pass) == (program.count - 1, NO_PASS)


@pytest.mark.parametrize("name", [*GOOD, "after table"])
def test_counters_are_those_of_the_list(runs, name):
    program, outcome = runs[1][name]
    *counters, cycles = outcome.counters
    names = len(CLUSTER_COUNTER_NAMES)
    busy = sum(counters[CLUSTER_COUNTER_NAMES.index("busy") :: COUNTERS_PER_CLUSTER])
    assert busy == sum(one.products for one in modelled(program).counts)
    for cluster in range(CONFIG.clusters):
        own = counters[cluster * COUNTERS_PER_CLUSTER :][:names]
        assert sum(own) == cycles * CONFIG.pes


def test_a_convolution_equals_torch(runs, convolution):
    lowered, expected = convolution
    _, outcome = runs[1]["convolution"]
    assert np.array_equal(lowered.result(outcome.memory), expected)
    outside = np.ones(lowered.memory_bytes, dtype=bool)
    for low, high in lowered.output_ranges:
        outside[low:high] = False
    assert not (outcome.written & outside).any()
    assert outcome.status == status(done=True)
    assert outcome.events == [DONE]


@pytest.mark.parametrize("name", BROKEN)
def test_a_bus_error_is_reported(runs, broken, name):
    program, outcome = runs[1][f"broken {name}"]
    first, end = broken[1][name]
    writes = name == "results"
    assert outcome.events[0] & ERROR
    assert outcome.status & status(bus_error=True)
    assert outcome.error == (PassError.BUS_WRITE if writes else PassError.BUS_READ)
    # a descriptor is fetched during the pass before
    assert outcome.error_pass == 1
    assert outcome.bus_error == SLVERR << 4 | writes
    # of a written burst, its first byte is known
    slack = (CONFIG.burst_beats - 1) * CONFIG.mem_bytes if writes else 0
    assert first - slack <= outcome.bus_error_addr < end
    allowed = np.zeros(program.memory_bytes, dtype=bool)
    for one in descriptors(program)[:2]:  # and nothing of the third
        allowed[int(one["out_addr"]) : int(one["out_end"])] = True
    assert not (outcome.written & ~allowed).any()


@pytest.mark.parametrize("name", BROKEN)
def test_a_bus_error_stops_the_list(runs, name):
    _, outcome = runs[1][f"broken {name}"]
    assert not any(event & DONE for event in outcome.events)
    assert outcome.status & status(busy=True, done=True) == 0
