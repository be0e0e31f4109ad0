"""The register map: no overlaps, no gaps in what is described."""

import dataclasses
import itertools

import pytest

from gscn.array import ARRAYS
from gscn.axi import AxiAttributes
from gscn.encode import LISTED_ERROR_MEANINGS, EncodeError
from gscn.errors import InputError
from gscn.pass_errors import PASS_ERROR_MEANINGS, PASS_ERROR_WIDTH, PassError
from gscn.register import Access, Top
from gscn.registers import (
    CONSTANT,
    ID_VALUE,
    OFFSET_WIDTH,
    REGISTERS,
    register,
    registers_of,
    reset_values,
)


def test_offsets_are_distinct_words_within_the_page():
    offsets = [r.offset for r in REGISTERS]
    assert offsets == sorted(set(offsets))
    assert all(offset % 4 == 0 and 0 <= offset < 1 << OFFSET_WIDTH for offset in offsets)
    assert len({r.name for r in REGISTERS}) == len(REGISTERS)


@pytest.mark.parametrize("one", REGISTERS, ids=lambda r: r.name)
def test_fields_do_not_overlap(one):
    assert one.fields
    assert all(f.low >= 0 and f.width > 0 and f.low + f.width <= 32 for f in one.fields)
    for first, second in itertools.combinations(one.fields, 2):
        assert first.mask & second.mask == 0
    assert len({f.name for f in one.fields}) == len(one.fields)
    if one.reset is not None:
        assert one.reset & ~one.mask == 0


def test_known_bits():
    """Worked out by hand: drivers in the field depend on these."""
    assert sum(ord(letter) << 8 * n for n, letter in enumerate("GSCN")) == ID_VALUE
    assert register("STATUS").offset == 0x14
    assert register("STATUS").mask == 0b1111_0000_0111
    assert register("STATUS").field("nonfinite").mask == 0x400
    assert register("STATUS").field("bus_error").mask == 0x800
    assert register("BUS_ERROR").field("response").mask == 0x30
    assert register("COUNTER_HI").offset == 0x44
    assert register("CONTROL").field("abort").mask == 4
    assert [register(f"PASSES_ADDR_{half}").offset for half in ("LO", "HI")] == [0x30, 0x34]
    assert register("PASS_COUNT").offset == 0x38
    assert [register(name).offset for name in ("ERROR_PASS", "PASS")] == [0x48, 0x4C]
    assert register("ERROR_PASS").reset == register("PASS").reset == 0xFFFF_FFFF
    assert register("BUS_ERROR").field("port").mask == 0xFF00
    assert register("ARRAY").offset == 0x50
    assert register("UNITS").offset == 0x64
    assert [register(f"LIST_FIRST_{half}").offset for half in ("LO", "HI")] == [0x68, 0x6C]
    assert [register(name).offset for name in ("LIST_ORDER", "STOP")] == [0x70, 0x74]
    assert [register(f"ANSWER_ADDR_{half}").offset for half in ("LO", "HI")] == [0x78, 0x7C]
    assert [register(f"RECORD_ENCODE_{half}").offset for half in ("LO", "HI")] == [0x80, 0x84]
    assert [register(f"RECORD_ARRAY_{half}").offset for half in ("LO", "HI")] == [0x88, 0x8C]
    assert [register(f"MEMORY_BASE_{half}").offset for half in ("LO", "HI")] == [0x98, 0x9C]
    assert register("ARRAY_MEMORY").field("bus_addr_width").mask == 0xFF00_0000
    assert [register("CONTROL").field(name).mask for name in ("answer", "anew")] == [8, 16]
    assert register("INTERRUPT_ENABLE").field("stop").mask == 4
    assert (PassError.ABORTED, PassError.OUTPUT_RANGE, PassError.INDEX) == (6, 16, 20)


def test_access_says_what_the_host_may_do():
    can = {access: set() for access in Access}
    for one in REGISTERS:
        can[one.access].add((one.readable, one.writable))
    assert can == {
        Access.READ: {(True, False)},
        Access.WRITE: {(False, True)},
        Access.READ_WRITE: {(True, True)},
        Access.CLEAR: {(True, True)},
    }


def test_every_error_code_fits_its_field_and_has_a_meaning():
    assert set(PASS_ERROR_MEANINGS) == set(PassError)
    assert max(PassError) < 1 << register("ERROR").field("code").width
    # what a machine reports besides has codes of its own
    assert set(LISTED_ERROR_MEANINGS) == {
        one for one in EncodeError if one.value not in set(PassError)
    }
    assert max(EncodeError) < 1 << PASS_ERROR_WIDTH


def test_array_and_machine_have_the_same_registers_at_the_same_places_but_for_lists():
    array, machine = (registers_of(top) for top in (Top.ARRAY, Top.MACHINE))
    by_name = {one.name: one for one in machine}
    only = {one.name for one in array} - set(by_name)
    assert only == {"PASS"}
    for one in array:
        if one.name in only:
            continue
        other = by_name[one.name]
        assert (one.offset, one.access, one.reset) == (other.offset, other.access, other.reset)
        assert set(one.fields) <= set(other.fields)
    assert {one.name for one in machine} | only == {one.name for one in REGISTERS}
    assert register("CONTROL").of(Top.ARRAY).mask == 0b111


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match=r"register must be one of ID, .*, not 'X'"):
        register("X")
    with pytest.raises(InputError, match="field of ERROR must be one of code, not 'x'"):
        register("ERROR").field("x")


def test_registers_that_tell_of_the_array_never_change():
    """By hand, of `large`."""
    config = ARRAYS["large"]
    values = reset_values(config)
    assert values["CONFIG_DIGEST_HI"] << 32 | values["CONFIG_DIGEST_LO"] == int(config.digest(), 16)
    assert values["ARRAY"] == 1 << 24 | config.drain_width << 16 | config.pes << 8 | config.clusters
    assert values["ARRAY_FORMATS"] == 1 << 16 | 48 << 8 | 16
    assert all(not register(name).writable for name in CONSTANT)
    for top in Top:
        values = reset_values(config, top)
        for one in registers_of(top):
            assert values[one.name] & ~one.mask == 0
            assert one.reset in (None, values[one.name])


@pytest.mark.parametrize(("bus", "found"), [(0, 40), (40, 40), (64, 64)])
def test_the_bus_tells_how_many_bits_its_addresses_have(bus, found):
    config = dataclasses.replace(ARRAYS["tiny"], addr_width=40)
    value = reset_values(config, attributes=AxiAttributes(addr_width=bus))["ARRAY_MEMORY"]
    assert value == found << 24 | 40 << 16 | config.burst_beats << 8 | config.mem_bytes


@pytest.mark.parametrize(("floats", "units"), [("", 1), ("bf16", 3)])
def test_a_machine_says_which_arithmetic_its_encode_unit_has(floats, units):
    config = dataclasses.replace(ARRAYS["tiny"], float_formats=floats)
    assert reset_values(config, Top.MACHINE)["UNITS"] == units
    assert reset_values(config, Top.ARRAY)["UNITS"] == 0
