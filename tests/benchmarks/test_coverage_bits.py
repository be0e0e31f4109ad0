"""Bits that descriptors of passes can have: by hand, and all others are refused."""

from __future__ import annotations

import random

import pytest

from benchmarks.coverage_bits import possible_bits, possible_encode_bits
from gscn.array import ARRAYS
from gscn.emulator.encode_checks import EncodeFields, check_encode
from gscn.emulator.pass_checks import PassFields, check_descriptor
from gscn.encode import ENCODE_DESCRIPTOR, EncodeError
from gscn.pass_errors import PassError
from gscn.passes import PASS_DESCRIPTOR, Mode
from tests.cosim.encode_sizes import passes_of_any_size
from tests.cosim.wild import Wild, fields_of, roomy_fields
from tests.pass_programs import TINY, random_program
from tests.step_runs import CONFIG

PASSES = 24
LISTED = (0, 1 << 12)


def test_bits_of_the_smallest_array_by_hand():
    possible = possible_bits(ARRAYS["tiny"])
    assert possible["s_data"] == 0xFFFF_FFC0
    assert possible["out_end"] == 0x1_FFFF_FFFF
    assert (possible["number_format"], possible["team"], possible["run"]) == (0, 3, 0x1F0)
    assert (possible["s_keys"], possible["s_vectors"], possible["window"]) == (0xFF, 7, 0x3FF)
    assert possible["help"] == 0xFFFF
    assert possible_bits(TINY)["number_format"] == 7
    assert possible_bits(ARRAYS["large"])["s_keys"] > possible["s_keys"]


@pytest.mark.parametrize("config", [ARRAYS["tiny"], TINY, ARRAYS["large"]])
def test_no_pass_that_the_checks_take_has_another_bit(config):
    """Each impossible bit is refused in any of them; the co-simulation runs all that are left."""
    possible, wild = possible_bits(config), Wild(random.Random(1), config)
    for number in range(PASSES):
        mode = Mode(number % 2)
        base = random_program(number, 1, config=config, mode=mode, count=1)
        fields = roomy_fields(config, mode) if number % 4 > 1 else fields_of(base)
        fields = wild.descriptor(fields)
        assert check_descriptor(PassFields(**fields), config) == PassError.NONE
        for one in PASS_DESCRIPTOR.fields:
            for bit in range(one.width):
                changed = fields | {one.name: fields[one.name] ^ 1 << bit}
                if not possible[one.name] >> bit & 1:
                    assert not fields[one.name] >> bit & 1, one.name
                    error = check_descriptor(PassFields(**changed), config)
                    assert error != PassError.NONE, (one.name, bit)


def test_bits_of_encode_passes_by_hand():
    possible = possible_encode_bits(CONFIG)
    assert (possible["mode"], possible["t0_format"], possible["vectors"]) == (2, 3, 7)
    assert (possible["group_channels"], possible["shift"]) == (0x1FF, 0)
    assert (possible["period"], possible["rows_addr"]) == (0xFFF_FFFF, 0xFFFF_FFC0)
    assert (possible["dense_addr"], possible["t0_step3"]) == ((1 << 64) - 1, (1 << 32) - 1)
    integers = possible_encode_bits(ARRAYS["tiny"])
    assert (integers["out_format"], integers["shift"]) == (7, 0x3F)


def test_no_encode_pass_that_the_checks_take_has_another_bit():
    """Each impossible bit is refused in any of them; the co-simulation runs all that are left."""
    possible = possible_encode_bits(CONFIG)
    for fields in passes_of_any_size(random.Random(1), CONFIG, LISTED):
        for one in ENCODE_DESCRIPTOR.fields:
            for bit in range(one.width - one.signed):
                changed = fields | {one.name: fields[one.name] ^ 1 << bit}
                if not possible[one.name] >> bit & 1:
                    assert not fields[one.name] >> bit & 1, one.name
                    error = check_encode(EncodeFields(**changed), CONFIG, LISTED)
                    assert error != EncodeError.NONE, (one.name, bit)
