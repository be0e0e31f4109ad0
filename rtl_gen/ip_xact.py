"""The generated module as a component of IP-XACT (IEEE 1685-2014), for tools that assemble systems.

It has the ports, by bus if there are buses, the registers, the configuration and the files. What
IP-XACT has no word for is in descriptions: that `rst` is active high, so that no bus has it as its
`ARESETn`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from gscn.array import ArrayConfig
from gscn.register import REGISTER_WIDTH, Access, Register, RegisterField, Top
from gscn.registers import CONSTANT, OFFSET_WIDTH, registers_of, reset_values
from gscn.rtl_gen.interfaces import by_interface
from gscn.rtl_gen.registers import error_meanings
from gscn.version import VERSION

if TYPE_CHECKING:
    from gscn.rtl_gen.manifest import Manifest

NAMESPACE = "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"
REGISTER_MAP, MEMORY = "registers", "memory"
"""Names of the memory map and of the address space of the buses."""
BUS_PORT = re.compile(r"(?P<bus>m_axi\d*|s_axil)_(?P<signal>[a-z]+)")
_BUS = {"vendor": "amba.com", "library": "AMBA4", "version": "r0p0"}
_LARGEST_SPACE = 1 << 63
"""Sizes are 64-bit numbers: a bus with as many bits of address has no space that could be said."""
_FILES = {
    "rtl": (("{verilog}", "verilogSource-2001"),),
    "constraints": (("{module}.sdc", "SDC"),),
}
_DIRECTIONS = {"input": "in", "output": "out"}
_ACCESS = {
    Access.READ: "read-only",
    Access.WRITE: "write-only",
    Access.READ_WRITE: "read-write",
    Access.CLEAR: "read-write",
}


def xact_file(module: str) -> str:
    """Return the name of a module's component file."""
    return f"{module}.xml"


def _sub(parent: Element, tag: str, text: object = None, **attributes: str) -> Element:
    """Add an element of IP-XACT and return it."""
    element = SubElement(parent, f"{{{NAMESPACE}}}{tag}", attributes)
    if text is not None:
        element.text = str(text)
    return element


def _texts(parent: Element, **texts: object) -> None:
    """Add an element with a text for each keyword, in order."""
    for name, text in texts.items():
        _sub(parent, name, text)


def _hex(value: int) -> str:
    return f"'h{value:X}"


def ip_xact(manifest: Manifest) -> str:
    """Return the component of the generated module.

    Parameters
    ----------
    manifest
        What was generated.
    """
    ElementTree.register_namespace("ipxact", NAMESPACE)
    root = Element(f"{{{NAMESPACE}}}component")
    _texts(root, vendor="gscn", library="gscn", name=manifest.module, version=VERSION)
    if manifest.axi is not None:
        _buses(root, manifest)
        _memory_map(root, manifest)
    _model(root, manifest)
    file_sets = _sub(root, "fileSets")
    for name, files in _FILES.items():
        file_set = _sub(file_sets, "fileSet")
        _sub(file_set, "name", name)
        for pattern, kind in files:
            path = pattern.format(verilog=manifest.verilog.name, module=manifest.module)
            _texts(_sub(file_set, "file"), name=path, fileType=kind)
    _sub(root, "description", f"GSCN {manifest.top}, configuration {manifest.config.digest()}")
    _parameters(root, manifest.config)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, "unicode")}\n'


def _parameters(root: Element, config: ArrayConfig) -> None:
    """Add the configuration: constants, because Verilog is generated for each."""
    parameters = _sub(root, "parameters")
    for name, value in config.to_dict().items():
        is_text = isinstance(value, str)
        one = _sub(parameters, "parameter", parameterId=name, type="string" if is_text else "int")
        _texts(one, name=name, value=f'"{value}"' if is_text else value)


def _buses(root: Element, manifest: Manifest) -> None:
    """Add the buses, each with its ports, and the address space of those to memory."""
    buses: dict[str, dict[str, str]] = {}
    for port in manifest.ports:
        if found := BUS_PORT.fullmatch(port.name):
            buses.setdefault(found["bus"], {})[found["signal"].upper()] = port.name
    size = 1 << manifest.axi.bus_addr_width(manifest.config)
    interfaces = _sub(root, "busInterfaces")
    for name, ports in sorted(buses.items()):
        interface = _sub(interfaces, "busInterface")
        is_host = name == "s_axil"
        kind = "AXI4-Lite" if is_host else "AXI4"
        _texts(interface, name=name, description="its reset is rst, synchronous and active high")
        _sub(interface, "busType", **_BUS, name=kind)
        abstraction = _sub(_sub(interface, "abstractionTypes"), "abstractionType")
        _sub(abstraction, "abstractionRef", **_BUS, name=f"{kind}_rtl")
        maps = _sub(abstraction, "portMaps")
        for logical, physical in {"ACLK": "clk", **ports}.items():
            one = _sub(maps, "portMap")
            _sub(_sub(one, "logicalPort"), "name", logical)
            _sub(_sub(one, "physicalPort"), "name", physical)
        if is_host:
            _sub(_sub(interface, "slave"), "memoryMapRef", memoryMapRef=REGISTER_MAP)
        else:
            master = _sub(interface, "master")
            if size <= _LARGEST_SPACE:
                _sub(master, "addressSpaceRef", addressSpaceRef=MEMORY)
    if size <= _LARGEST_SPACE:
        space = _sub(_sub(root, "addressSpaces"), "addressSpace")
        _texts(space, name=MEMORY, range=_hex(size), width=manifest.config.mem_width)
        _sub(space, "addressUnitBits", 8)


def _memory_map(root: Element, manifest: Manifest) -> None:
    top, resets = manifest.top, reset_values(manifest.config, manifest.top, manifest.axi)
    memory_map = _sub(_sub(root, "memoryMaps"), "memoryMap")
    _sub(memory_map, "name", REGISTER_MAP)
    block = _sub(memory_map, "addressBlock")
    _texts(block, name=REGISTER_MAP, baseAddress=0, range=_hex(1 << OFFSET_WIDTH))
    _texts(block, width=REGISTER_WIDTH, usage="register")
    for one in registers_of(top):
        register = _sub(block, "register")
        _texts(register, name=one.name, description=one.meaning, addressOffset=_hex(one.offset))
        _sub(register, "size", REGISTER_WIDTH)
        _sub(register, "volatile", str(_is_volatile(one)).lower())
        _sub(register, "access", _ACCESS[one.access])
        for field in one.fields:
            _field(register, one, field, resets[one.name], top)
    _sub(memory_map, "addressUnitBits", 8)


def _is_volatile(one: Register) -> bool:
    """Return whether a register may change without being written."""
    return one.access in (Access.READ, Access.CLEAR) and one.name not in CONSTANT


def _field(parent: Element, one: Register, field: RegisterField, reset: int, top: Top) -> None:
    element = _sub(parent, "field")
    _texts(element, name=field.name, description=field.meaning, bitOffset=field.low)
    value = (reset & field.mask) >> field.low
    _sub(_sub(_sub(element, "resets"), "reset"), "value", _hex(value))
    _texts(element, bitWidth=field.width, access=_ACCESS[one.access])
    if (one.name, field.name) == ("ERROR", "code"):
        values = _sub(element, "enumeratedValues")
        for code, meaning in error_meanings(top).items():
            value = _sub(values, "enumeratedValue", usage="read")
            _texts(value, name=code.name, description=meaning, value=code.value)
    if one.access is Access.CLEAR:
        _sub(element, "modifiedWriteValue", "oneToClear")
    # reading it keeps the upper half: a debugger that only looks must not do so
    if one.name == "COUNTER_LO":
        _sub(element, "readAction", "modify")


def _model(root: Element, manifest: Manifest) -> None:
    model = _sub(root, "model")
    view = _sub(_sub(model, "views"), "view")
    _texts(view, name="rtl", envIdentifier=":*Synthesis:", componentInstantiationRef="verilog")
    instantiation = _sub(_sub(model, "instantiations"), "componentInstantiation")
    _texts(instantiation, name="verilog", language="verilog", moduleName=manifest.module)
    for name in _FILES:
        _sub(_sub(instantiation, "fileSetRef"), "localName", name)
    ports = _sub(model, "ports")
    for title, group in by_interface(manifest.ports).items():
        for port in group:
            element = _sub(ports, "port")
            _texts(element, name=port.name, description=title)
            wire = _sub(element, "wire")
            _sub(wire, "direction", _DIRECTIONS[port.direction])
            if port.width > 1:
                _texts(_sub(_sub(wire, "vectors"), "vector"), left=port.width - 1, right=0)
