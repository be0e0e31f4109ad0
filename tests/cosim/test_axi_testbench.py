# amaranth: UnusedElaboratable=no
"""The AXI testbench finds every fault that is put at the ports of the core behind AXI."""

from dataclasses import replace

import pytest

from gscn.config import PRESETS
from gscn.cosim import Conditions, compare, run
from gscn.cosim.builds.simulator import build
from gscn.cosim.launch import seen_latencies
from gscn.cycles.model import simulate
from tests.cosim.axi_faults import FAULT_SHIFT, FAULTS, FaultyAxi
from tests.programs import random_program

pytestmark = pytest.mark.cosim

CONFIG = replace(PRESETS["tiny"], axi_id_width=3)
MESSAGES = {
    "unaligned": "read address must be a multiple of 16, not 0x",
    "narrow": "must have beats of 16 bytes, not 1",
    "fixed": "must be incrementing (1), not 0",
    "locked": "must not be locked",
    "page": "read burst of 2 beats at 0xff0 must not cross a multiple of 4096",
    "oversize": "read burst at 0x0 must have 1 to 2 beats, not 3",
    "outside": "must end within the memory",
    "changed": "AR must be held until it is accepted, but was changed",
    "withdrawn": "AW must be held until it is accepted, but was withdrawn",
    "strobe": "W must be held until it is accepted, but was changed",
    "early last": "wlast must be 0 at beat 0 of the 2",
    "no last": "wlast must be 1 at beat",
    "mute": "must be answered within 1000 cycles",
    "refused": "the access of register 0x038 must be answered with OKAY, not 2",
    "uncalled": "answer (R) must follow an access",
    "no interrupt": "no interrupt says so",
    "bad answer": "ERROR.code must be 0, not 1",
    "early end": "a phase must end after its last burst",
    "noise": "the accelerator must be silent after the last phase",
    "still busy": "STATUS.busy must be 0 after the interrupt that says done",
    "not done": "STATUS.done must be 1 after a phase",
}
STALLS = {"read_cmd": 0.6, "write_cmd": 0.6, "write_data": 0.6, "write_done": 0.95}


@pytest.fixture(scope="module")
def simulator():
    return build(CONFIG, axi=True, create=lambda config: FaultyAxi(config=config))


def program_with(fault):
    """A launch of one phase; the fault is in the upper bits of its number of jobs."""
    program = random_program(CONFIG, 4, phases=1)
    (phase,) = program.phases
    jobs = phase.job_count | FAULTS.index(fault) << FAULT_SHIFT
    return replace(program, phases=[replace(phase, job_count=jobs)])


def assert_right(program, result):
    comparison = compare(
        program.result(result.memory),
        program.oracle(),
        written=result.written,
        output_ranges=program.output_ranges,
    )
    assert comparison.good, comparison.details


def test_every_fault_has_a_message():
    assert set(FAULTS) == {"none", *MESSAGES}


@pytest.fixture(scope="module")
def outcomes(simulator):
    """A good launch before each faulty one: what a fault leaves behind must not last."""
    names = [name for fault in MESSAGES for name in ("none", fault)]
    results = run(
        CONFIG,
        [program_with(name) for name in names],
        Conditions(stall_probability=STALLS, timeout_cycles=20_000),
        check=False,
        simulator=simulator,
    )
    return dict(zip(MESSAGES, zip(results[::2], results[1::2], strict=True), strict=True))


@pytest.mark.parametrize("fault", MESSAGES)
def test_a_fault_is_found_and_spares_the_next_launch(outcomes, fault):
    good, bad = outcomes[fault]
    assert good.error is None
    assert_right(program_with("none"), good)
    assert MESSAGES[fault] in (bad.error or ""), bad.error
    assert bad.timed_out == (fault == "no interrupt")


def test_without_a_fault_the_launch_takes_the_modelled_cycles(simulator):
    program = program_with("none")
    (result,) = run(CONFIG, [program], simulator=simulator)
    assert_right(program, result)
    assert result.cycles == simulate(program, **seen_latencies(axi=True)).cycles
