"""The CMSIS-SVD is that of the register map, its elements in the order of the schema."""

from xml.etree import ElementTree

import pytest

from gscn.array import ARRAYS
from gscn.register import Access, Top
from gscn.registers import registers_of, reset_values
from gscn.rtl_gen.registers import error_meanings
from gscn.rtl_gen.svd import PERIPHERAL, svd
from gscn.version import VERSION

CONFIG = ARRAYS["tiny"]
ORDER = {
    "device": [
        *("name", "version", "description", "addressUnitBits", "width", "size", "peripherals"),
    ],
    "peripheral": [
        *("name", "version", "description", "baseAddress", "addressBlock", "registers"),
    ],
    "register": [
        *("name", "description", "addressOffset", "size", "access", "resetValue", "resetMask"),
        *("readAction", "fields"),
    ],
    "field": [
        *("name", "description", "bitOffset", "bitWidth", "access", "modifiedWriteValues"),
        "enumeratedValues",
    ],
}
"""Children of elements as the sequences of the schema have them (CMSIS-SVD 1.3.9)."""


@pytest.fixture(scope="module", params=Top)
def top(request):
    return request.param


@pytest.fixture(scope="module")
def device(top):
    return ElementTree.fromstring(svd(CONFIG, top).encode())


def test_every_element_has_its_children_in_the_order_of_the_schema(device):
    for name, order in ORDER.items():
        found = list(device.iter(name))
        assert found
        for one in found:
            children = [child.tag for child in one]
            assert children == [tag for tag in order if tag in children]


def test_it_is_one_peripheral_of_this_version(device):
    (peripheral,) = device.iter("peripheral")
    assert peripheral.findtext("name") == PERIPHERAL
    assert device.findtext("version") == peripheral.findtext("version") == VERSION
    assert CONFIG.digest() in device.findtext("description")


def test_registers_and_fields_are_those_of_the_map(device, top):
    resets = reset_values(CONFIG, top)
    access = {Access.READ: "read-only", Access.WRITE: "write-only"}
    for one, element in zip(registers_of(top), device.iter("register"), strict=True):
        assert element.findtext("name") == one.name
        assert element.findtext("description") == one.meaning
        assert int(element.findtext("addressOffset"), 16) == one.offset
        assert int(element.findtext("resetValue"), 16) == resets[one.name]
        assert int(element.findtext("resetMask"), 16) == one.mask
        assert element.findtext("access") == access.get(one.access, "read-write")
        assert (element.find("readAction") is not None) == (one.name == "COUNTER_LO")
        for field, found in zip(one.fields, element.iter("field"), strict=True):
            assert found.findtext("name") == field.name
            place = int(found.findtext("bitOffset")), int(found.findtext("bitWidth"))
            assert place == (field.low, field.width)
            clears = found.findtext("modifiedWriteValues") == "oneToClear"
            assert clears == (one.access is Access.CLEAR)


def test_error_codes_are_values_of_their_field(device, top):
    (values,) = device.iter("enumeratedValues")
    found = {
        one.findtext("name"): (int(one.findtext("value")), one.findtext("description"))
        for one in values.iter("enumeratedValue")
    }
    meanings = error_meanings(top)
    assert found == {code.name: (code.value, text) for code, text in meanings.items()}
