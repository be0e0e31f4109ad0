"""The register map in SystemRDL, as a compiler not written by us reads it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from peakrdl_ipxact import IPXACTExporter
from systemrdl import RDLCompiler
from systemrdl.rdltypes import AccessType, OnWriteType

from gscn.array import ARRAYS
from gscn.register import Access, Top
from gscn.registers import CONSTANT, register, registers_of, reset_values
from gscn.rtl_gen.registers import error_meanings
from gscn.rtl_gen.system_rdl import MAP_NAME, SYSTEM_RDL, system_rdl

CONFIG = ARRAYS["tiny"]
SOFTWARE = {
    Access.READ: AccessType.r,
    Access.WRITE: AccessType.w,
    Access.READ_WRITE: AccessType.rw,
    Access.CLEAR: AccessType.rw,
}
IPXACT = "{http://www.accellera.org/XMLSchema/IPXACT/1685-2014}"


@pytest.fixture(scope="module", params=Top)
def top(request):
    return request.param


@pytest.fixture(scope="module")
def compiled(tmp_path_factory, top):
    path = tmp_path_factory.mktemp("rdl") / SYSTEM_RDL
    path.write_text(system_rdl(CONFIG, top), encoding="utf-8")
    compiler = RDLCompiler()
    compiler.compile_file(str(path))
    return compiler.elaborate().top


@pytest.fixture(scope="module")
def registers(compiled):
    assert compiled.inst_name == MAP_NAME
    return {node.inst_name: node for node in compiled.registers()}


def test_registers_and_their_fields_are_where_the_map_has_them(registers, top):
    found = {
        name: (
            node.absolute_address,
            node.get_property("desc"),
            [(f.inst_name, f.low, f.width, f.get_property("desc")) for f in node.fields()],
        )
        for name, node in registers.items()
    }
    assert found == {
        one.name: (
            one.offset,
            one.meaning,
            [(f.name, f.low, f.width, f.meaning) for f in one.fields],
        )
        for one in registers_of(top)
    }
    assert all(node.size == 4 for node in registers.values())


def test_what_host_and_hardware_may_do_is_what_the_map_says(registers, top):
    for one in registers_of(top):
        for field in registers[one.name].fields():
            assert field.get_property("sw") is SOFTWARE[one.access], one.name
            # A command acts once; an event stays until the host writes 1 to it.
            assert field.get_property("singlepulse") == (one.access is Access.WRITE), one.name
            clearing = OnWriteType.woclr if one.access is Access.CLEAR else None
            assert field.get_property("onwrite") is clearing, one.name
            assert field.get_property("hwset") is (one.access is Access.CLEAR), one.name
    constant = {name for name, node in registers.items() if not node.has_hw_writable}
    held = {
        one.name for one in registers_of(top) if one.access in (Access.READ_WRITE, Access.WRITE)
    }
    assert constant - held - {"INTERRUPT_STATUS"} == set(CONSTANT)


def test_values_after_reset_are_those_of_the_map_and_the_configuration(registers, top):
    for one in registers_of(top):
        found = sum(
            field.get_property("reset") << field.low for field in registers[one.name].fields()
        )
        assert found == reset_values(CONFIG, top)[one.name]
        assert one.reset in (found, None)
    halves = [
        next(iter(registers[f"CONFIG_DIGEST_{half}"].fields())).get_property("reset")
        for half in ("HI", "LO")
    ]
    assert f"{halves[0]:08x}{halves[1]:08x}" == CONFIG.digest()


def test_error_codes_are_values_of_their_field(registers, top):
    (code,) = registers["ERROR"].fields()
    found = {(one.name, one.value): one.rdl_desc for one in code.get_property("encode")}
    meanings = error_meanings(top)
    assert found == {(one.name, one.value): text for one, text in meanings.items()}
    assert (("ORDER", 23) in found) == (top is Top.MACHINE)


def test_another_configuration_changes_its_digest_and_sizes_alone(top):
    one, other = (system_rdl(ARRAYS[name], top).splitlines() for name in ("tiny", "small"))
    changed = [line for line, with_other in zip(one, other, strict=True) if line != with_other]
    assert CONFIG.digest() in changed[0]
    names = {line.split("}")[1].split("[")[0].strip() for line in changed[1:]}
    sizes = {field.name for name in CONSTANT[2:] for field in register(name).fields}
    # "value" is each half of the digest
    assert "clusters" in names <= sizes
    assert len(changed) == 1 + 2 + len(names - {"value"})


def test_ip_xact_made_of_it_has_every_register(compiled, tmp_path, top):
    path = tmp_path / "gscn.xml"
    IPXACTExporter().export(compiled, str(path))
    found = {}
    for one in ElementTree.parse(path).iter(f"{IPXACT}register"):
        fields = {
            field.findtext(f"{IPXACT}name"): (
                int(field.findtext(f"{IPXACT}bitOffset")),
                int(field.findtext(f"{IPXACT}bitWidth")),
                field.findtext(f"{IPXACT}modifiedWriteValue"),
            )
            for field in one.iter(f"{IPXACT}field")
        }
        offset = int(one.findtext(f"{IPXACT}addressOffset").removeprefix("'h"), 16)
        found[one.findtext(f"{IPXACT}name")] = offset, fields
    clearing = {one.name: one.access is Access.CLEAR for one in registers_of(top)}
    assert found == {
        one.name: (
            one.offset,
            {
                f.name: (f.low, f.width, "oneToClear" if clearing[one.name] else None)
                for f in one.fields
            },
        )
        for one in registers_of(top)
    }
