# amaranth: UnusedElaboratable=no
"""The AXI testbench finds every fault that is put at the ports of the array behind AXI."""

import dataclasses

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.cosim import Conditions, run
from gscn.cosim.builds.simulator import build
from gscn.cosim.launch import seen_latencies
from gscn.cosim.scoreboard import model_cycles
from gscn.emulator.passes import run_passes
from tests.cosim.axi_faults import FAULT_SHIFT, FAULTS, FaultyAxi
from tests.pass_programs import random_program

pytestmark = pytest.mark.cosim

CONFIG = dataclasses.replace(ARRAYS["tiny"], axi_id_width=3)
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
    "refused": "the access of register 0x034 must be answered with OKAY, not 2",
    "uncalled": "answer (R) must follow an access",
    "no interrupt": "no interrupt says so",
    "bad answer": "ERROR.code must be 0, not 1",
    "early end": "a list must end after its last burst",
    "noise": "the array must be silent after the last pass",
    "still busy": "STATUS.busy must be 0 after the interrupt that says done",
    "not done": "STATUS.done must be 1 after a list",
    "no pass": "PASS must be 1 after the last one, not 0",
}
STALLS = {"read_cmd": 0.6, "write_cmd": 0.6, "write_data": 0.6, "write_done": 0.95}
TIMEOUT_CYCLES = 20_000


@pytest.fixture(scope="module")
def simulator():
    return build(CONFIG, axi=True, create=lambda config: FaultyAxi(config=config))


def program_with(fault):
    """A list of two passes; the fault is in the upper bits of its address."""
    program = random_program(4, 1, config=CONFIG, count=2)
    select = FAULTS.index(fault) << FAULT_SHIFT + 32
    return dataclasses.replace(program, descriptors_addr=program.descriptors_addr | select)


def assert_right(done):
    program = program_with("none")
    assert done.error is None
    expected = run_passes(
        CONFIG, program.image, program.descriptors_addr, program.count, program.memory_bytes
    )
    assert np.array_equal(done.memory, expected.memory)


def test_every_fault_has_a_message():
    assert set(FAULTS) == {"none", *MESSAGES}


@pytest.mark.parametrize("fault", MESSAGES)
def test_a_fault_is_found(simulator, fault):
    """A good list comes before the faulty one."""
    conditions = Conditions(stall_probability=STALLS, timeout_cycles=TIMEOUT_CYCLES)
    programs = [program_with("none"), program_with(fault)]
    good, bad = run(CONFIG, programs, conditions, check=False, simulator=simulator)
    assert_right(good)
    assert MESSAGES[fault] in (bad.error or ""), bad.error


def test_without_a_fault_the_list_takes_the_modelled_cycles(simulator):
    program = program_with("none")
    (done,) = run(CONFIG, [program], simulator=simulator)
    assert_right(done)
    assert done.cycles == model_cycles(program, **seen_latencies(axi=True)).cycles
