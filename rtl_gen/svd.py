"""The register map as CMSIS-SVD 1.3, for debuggers and for what makes drivers' headers of it."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from gscn.array import ArrayConfig
from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.enums import takes_text
from gscn.register import REGISTER_WIDTH, Access, Register, RegisterField, Top
from gscn.registers import OFFSET_WIDTH, registers_of, reset_values
from gscn.rtl_gen.registers import error_meanings
from gscn.version import VERSION

SVD = "gscn_registers.svd"
PERIPHERAL = "GSCN"
"""Name of the peripheral."""
_ACCESS = {
    Access.READ: "read-only",
    Access.WRITE: "write-only",
    Access.READ_WRITE: "read-write",
    Access.CLEAR: "read-write",
}


def _add(parent: Element, **texts: object) -> None:
    """Add an element with a text for each keyword, in order."""
    for name, text in texts.items():
        SubElement(parent, name).text = str(text)


def _field(parent: Element, one: Register, field: RegisterField, top: Top) -> None:
    element = SubElement(parent, "field")
    _add(
        element,
        name=field.name,
        description=field.meaning,
        bitOffset=field.low,
        bitWidth=field.width,
        access=_ACCESS[one.access],
    )
    if one.access is Access.CLEAR:
        _add(element, modifiedWriteValues="oneToClear")
    if (one.name, field.name) != ("ERROR", "code"):
        return
    values = SubElement(element, "enumeratedValues")
    _add(values, name="error_code", usage="read")
    for code, meaning in error_meanings(top).items():
        value = SubElement(values, "enumeratedValue")
        _add(value, name=code.name, description=meaning, value=code.value)


def _register(parent: Element, one: Register, reset: int, top: Top) -> None:
    element = SubElement(parent, "register")
    _add(
        element,
        name=one.name,
        description=one.meaning,
        addressOffset=f"0x{one.offset:03X}",
        size=REGISTER_WIDTH,
        access=_ACCESS[one.access],
        resetValue=f"0x{reset:08X}",
        resetMask=f"0x{one.mask:08X}",
    )
    # a debugger that only looks must not replace the upper half that a program is about to read
    if one.name == "COUNTER_LO":
        _add(element, readAction="modify")
    fields = SubElement(element, "fields")
    for field in one.fields:
        _field(fields, one, field, top)


@takes_text
def svd(config: ArrayConfig, top: Top, attributes: AxiAttributes = DEFAULT_AXI) -> str:
    """Return the register map of an array or a machine as CMSIS-SVD.

    Parameters
    ----------
    config
        Its configuration, which some registers tell.
    top
        What it is of.
    attributes
        Its bus, of which a register tells.

    Returns
    -------
    str
        A device of one peripheral at address 0: where it lies, and the number of its interrupt,
        are the system's.
    """
    device = Element("device", schemaVersion="1.3")
    _add(
        device,
        name="gscn",
        version=VERSION,
        description=f"GSCN accelerator, configuration {config.digest()}",
        addressUnitBits=8,
        width=REGISTER_WIDTH,
        size=REGISTER_WIDTH,
    )
    peripheral = SubElement(SubElement(device, "peripherals"), "peripheral")
    _add(
        peripheral,
        name=PERIPHERAL,
        version=VERSION,
        description="registers; the system adds the address and the interrupt's number",
        baseAddress="0x0",
    )
    block = SubElement(peripheral, "addressBlock")
    _add(block, offset="0x0", size=f"0x{1 << OFFSET_WIDTH:X}", usage="registers")
    registers = SubElement(peripheral, "registers")
    resets = reset_values(config, top, attributes)
    for one in registers_of(top):
        _register(registers, one, resets[one.name], top)
    ElementTree.indent(device)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(device, "unicode")}\n'
