"""Both drivers, from C and from Python, on a model of the registers with the functional model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.axi import AxiAttributes
from gscn.driver import Driver
from gscn.driver.list_image import join_passes
from gscn.errors import InputError
from gscn.pass_errors import PASS_ERROR_MEANINGS, PassError
from gscn.passes import DESCRIPTOR_BYTES
from gscn.register import Top
from gscn.registers import ID_VALUE, VERSION_VALUE, register
from gscn.rtl_gen.registers import error_meanings
from tests.driver.c_driver import CDriver, library
from tests.driver.layers import CONFIG, layer_passes
from tests.driver.register_model import RegisterModel

BASES = (0, 64, 4096 + 192)
drivers = pytest.mark.parametrize("create", [CDriver, Driver], ids=["C", "Python"])


@pytest.fixture(scope="module")
def passes():
    """All passes of a layer as one list, and the right results of each."""
    image = join_passes(layer_passes())
    alone = RegisterModel(CONFIG, image.memory_bytes)
    alone.memory[: image.content.size] = image.content
    driver = Driver(alone)
    driver.start(0, image.pass_count)
    assert driver.finish().error is PassError.NONE
    right = [alone.memory[low:high].copy() for low, high in image.output_ranges]
    assert any(one.any() for one in right)
    return image, right


def model(size=1 << 16, **how):
    return RegisterModel(CONFIG, size, **how)


@drivers
@pytest.mark.parametrize("base", BASES)
def test_a_list_runs_wherever_it_lies(create, passes, base):
    image, right = passes
    array = model()
    driver = create(array, digest=int(CONFIG.digest(), 16))
    array.memory[base : base + image.content.size] = image.at(base)
    driver.start(base, image.pass_count)
    outcome = driver.finish()
    assert str(outcome) == "no error"
    assert outcome.error_pass is None
    for (low, high), expected in zip(image.output_ranges, right, strict=True):
        assert np.array_equal(array.memory[base + low : base + high], expected)
    assert array.wrong == []
    assert array.told == ["clear", "start"]


@drivers
def test_an_array_is_known_by_its_registers(create):
    driver = create(model())
    assert driver.digest == int(CONFIG.digest(), 16)
    for name in ("clusters", "pes", "ports", "acc_depth", "stationary_depth", "directory_depth"):
        assert driver.sizes[name] == getattr(CONFIG, name), name
    for name in ("chunks_depth", "mem_bytes", "burst_beats", "addr_width"):
        assert driver.sizes[name] == getattr(CONFIG, name), name


@drivers
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ID", ID_VALUE ^ 1, "NO_DEVICE|register ID must be"),
        ("VERSION", VERSION_VALUE + (1 << 16), "OTHER_VERSION|VERSION.major must be"),
        ("CONFIG_DIGEST_HI", 1, "OTHER_CONFIGURATION|configuration must be"),
    ],
)
def test_another_thing_at_the_registers_is_refused_untouched(create, name, value, message):
    array = model()
    array.values[name] = value
    with pytest.raises(InputError, match=message):
        create(array, digest=int(CONFIG.digest(), 16))
    assert array.told == []


@drivers
def test_a_newer_minor_version_is_taken(create):
    array = model()
    array.values["VERSION"] = VERSION_VALUE + 1
    create(array)


@drivers
@pytest.mark.parametrize(
    ("address", "count"),
    [
        (32, 1),
        (0, 0),
        (1 << CONFIG.addr_width, 1),
        ((1 << CONFIG.addr_width) - DESCRIPTOR_BYTES, 2),
    ],
)
def test_a_list_that_cannot_be_is_refused(create, address, count):
    array = model()
    driver = create(array)
    with pytest.raises(InputError, match=r"ARGUMENT|address must|count must"):
        driver.start(address, count)
    assert array.told == ["clear"]


@drivers
def test_the_last_descriptor_may_end_with_the_address_space(create):
    array = model()
    driver = create(array)
    driver.start((1 << CONFIG.addr_width) - DESCRIPTOR_BYTES, 1)
    assert array.told == ["clear", "start"]


@drivers
@pytest.mark.parametrize("number", [0, 2])
def test_an_error_names_its_pass(create, passes, number):
    image, _ = passes
    array = model()
    array.memory[: image.content.size] = image.at(0)
    array.memory[number * DESCRIPTOR_BYTES] ^= 1  # an address that is no multiple of 64
    driver = create(array)
    driver.start(0, image.pass_count)
    outcome = driver.finish()
    assert (outcome.error, outcome.error_pass) == (PassError.ADDRESS, number)
    assert str(outcome) == f"pass {number}: ADDRESS: {PASS_ERROR_MEANINGS[PassError.ADDRESS]}"
    array.memory[number * DESCRIPTOR_BYTES] ^= 1
    driver.start(0, image.pass_count)
    assert driver.finish().error is PassError.NONE
    assert array.wrong == []


@drivers
def test_waiting_can_be_given_up_and_taken_up(create, passes):
    image, _ = passes
    array = model()
    array.memory[: image.content.size] = image.at(0)
    left = [10]

    def wait():
        left[0] -= 1
        if not left[0]:
            raise TimeoutError

    driver = create(array, wait=wait)
    left[0] = 10
    array.hangs = True
    driver.start(0, image.pass_count)
    with pytest.raises(TimeoutError):
        driver.finish()
    with pytest.raises(InputError, match=r"BUSY|is busy"):
        driver.start(0, image.pass_count)
    array.hangs = False
    left[0] = 10
    assert driver.finish().error is PassError.NONE
    array.hangs = True
    driver.start(0, image.pass_count)
    driver.abort()
    left[0] = 10
    outcome = driver.finish()
    assert (outcome.error, outcome.error_pass) == (PassError.ABORTED, None)
    assert array.wrong == []


@drivers
def test_events_are_forgotten_at_the_end(create, passes):
    """Each wait returns at the interrupt: one that is left over would end it at once."""
    image, _ = passes
    array = model(looks=2)
    array.memory[: image.content.size] = image.at(0)
    seen = []
    driver = create(array, wait=lambda: seen.append(array.interrupt))
    driver.interrupts(True)
    for _ in range(3):
        driver.start(0, image.pass_count)
        assert driver.finish().error is PassError.NONE
        assert not array.interrupt
        assert not array.values["INTERRUPT_STATUS"]
    assert len(seen) >= 3
    assert not any(seen)
    driver.interrupts(False)
    assert array.values["INTERRUPT_ENABLE"] == 0


@drivers
@pytest.mark.parametrize("enabled", [False, True])
def test_the_interrupt_is_tried_without_a_list(create, enabled):
    array, seen = model(), []
    driver = create(array, wait=lambda: seen.append(array.interrupt))
    assert not any(seen)  # it has waited for the end of what was under way before
    driver.interrupts(enabled)
    seen.clear()
    driver.try_interrupt()
    assert seen == [True]
    assert not array.interrupt
    assert array.values["INTERRUPT_STATUS"] == 0
    assert array.values["INTERRUPT_ENABLE"] == 3 * enabled
    assert array.told == ["clear"]
    assert array.wrong == []


@drivers
def test_an_interrupt_that_does_not_come_is_told(create):
    array, late = model(), []

    def wait():
        if late:
            raise TimeoutError

    driver = create(array, wait=wait)
    late.append(True)
    with pytest.raises(TimeoutError):
        driver.try_interrupt()
    assert array.values["INTERRUPT_ENABLE"] == array.values["INTERRUPT_STATUS"] == 0


@drivers
def test_the_interrupt_is_not_tried_without_a_wait_or_while_a_list_runs(create, passes):
    with pytest.raises(InputError, match=r"ARGUMENT|wait must be given"):
        create(model()).try_interrupt()
    image, _ = passes
    array = model()
    driver = create(array, wait=lambda: None)
    array.hangs = True
    driver.start(0, image.pass_count)
    with pytest.raises(InputError, match=r"BUSY|must be idle"):
        driver.try_interrupt()


@drivers
def test_all_of_a_bus_error_is_read(create):
    array = model()
    driver = create(array)
    array.values |= {
        **{"ERROR": int(PassError.BUS_WRITE), "ERROR_PASS": 7},
        **{"BUS_ERROR": 1 | 3 << 4 | 5 << 8},
        **{"BUS_ERROR_ADDR_LO": 0x8765_4321, "BUS_ERROR_ADDR_HI": 0xFEDC},
        "STATUS": 0b101 << 8 | 1 << 9,
    }
    outcome = driver.finish()
    assert dataclasses.asdict(outcome) == {
        "error": PassError.BUS_WRITE,
        "error_pass": 7,
        "saturated": True,
        "accumulator_overflow": True,
        "nonfinite": True,
        "bus_write": True,
        "bus_response": 3,
        "bus_port": 5,
        "bus_address": 0xFEDC_8765_4321,
    }
    assert "at 0xfedc87654321, port 5" in str(outcome)


@drivers
def test_a_counter_is_read_whole(create):
    array = model()
    array.counters = {3: 0x1234_8000_0001, 4: 5}
    driver = create(array)
    assert (driver.counter(3), driver.counter(4)) == (0x1234_8000_0001, 5)


WIDE = AxiAttributes(addr_width=64)
ORIGIN = 0xFEDC_0000_0000


@drivers
def test_the_array_s_memory_may_begin_anywhere_on_the_bus(create, passes):
    image, right = passes
    array = model(attributes=WIDE, origin=ORIGIN)
    array.values |= {"MEMORY_BASE_LO": 4096, "MEMORY_BASE_HI": 7}  # left by another program
    driver = create(array)
    assert array.values["MEMORY_BASE_LO"] == array.values["MEMORY_BASE_HI"] == 0
    assert (driver.sizes["bus_addr_width"], driver.memory_base) == (64, 0)
    for base in (ORIGIN, ORIGIN + 3 * 4096):
        driver.memory_base = base
        assert driver.memory_base == base
        memory = array.memory[base - ORIGIN :]
        memory[64 : 64 + image.content.size] = image.at(64)
        driver.start(64, image.pass_count)
        driver.memory_base = ORIGIN + 4096  # of the next list
        assert driver.finish().error is PassError.NONE
        for (low, high), expected in zip(image.output_ranges, right, strict=True):
            assert np.array_equal(memory[64 + low : 64 + high], expected)
        array.memory[:] = 0
    assert array.wrong == []


@drivers
@pytest.mark.parametrize(
    ("bus", "base"),
    [
        (64, 2048),
        (64, (1 << 64) - (1 << CONFIG.addr_width) + 4096),
        (48, 1 << 48),
        (CONFIG.addr_width, 4096),
        (0, 4096),
    ],
)
def test_a_base_that_cannot_be_is_refused(create, bus, base):
    array = model(attributes=AxiAttributes(addr_width=bus))
    driver = create(array)
    with pytest.raises(InputError, match=r"ARGUMENT|memory_base must be a multiple of 4096"):
        driver.memory_base = base
    assert driver.memory_base == 0
    assert array.values["MEMORY_BASE_LO"] == array.values["MEMORY_BASE_HI"] == 0
    last = (1 << (bus or CONFIG.addr_width)) - (1 << CONFIG.addr_width)
    driver.memory_base = last
    assert driver.memory_base == last


@drivers
def test_a_map_without_a_base_has_the_array_s_addresses(create):
    """Version 3.2 had not these registers, and no width of the bus."""
    array = model()
    field = register("ARRAY_MEMORY").field("bus_addr_width")
    array.values["ARRAY_MEMORY"] &= ~field.mask
    for half in ("LO", "HI"):
        del array.by_offset[register(f"MEMORY_BASE_{half}").offset]
    driver = create(array)
    assert driver.sizes["bus_addr_width"] == CONFIG.addr_width
    driver.memory_base = 0
    assert array.wrong == []


def machine(create, array, **how):
    """Return a driver of a machine; the C one is compiled for it."""
    return create(array, **how, **({"top": Top.MACHINE} if create is CDriver else {}))


@drivers
def test_stops_of_a_machine_are_answered_one_by_one(create, passes):
    image, right = passes
    array = model(top=Top.MACHINE, stops=[7, 3, 7])
    array.memory[: image.content.size] = image.at(0)
    asked = []

    def stop(number):
        asked.append(number)
        assert array.values["STOP"] == number
        return 0x1_0000_0100 if number == 3 else None

    driver = machine(create, array, stop=stop)
    driver.interrupts(True)
    driver.start(0, image.pass_count, first=256, two_queues=True)
    assert array.values["LIST_FIRST_LO"] == 256
    assert array.values["LIST_ORDER"] == 1
    assert driver.finish().error is PassError.NONE
    assert asked == [7, 3, 7]
    answers = [("answer", 7, 0), ("answer", 3, 0x1_0000_0100), ("answer", 7, 0)]
    assert array.told == ["clear", "start", *answers]
    driver.start(0, image.pass_count)
    assert array.values["LIST_FIRST_LO"] == array.values["LIST_ORDER"] == 0
    assert driver.finish().error is PassError.NONE
    assert not array.interrupt
    assert array.wrong == []
    for (low, high), expected in zip(image.output_ranges, right, strict=True):
        assert np.array_equal(array.memory[low:high], expected)


@drivers
def test_a_stop_without_an_answer_is_given_up(create, passes):
    image, _ = passes
    array = model(top=Top.MACHINE, stops=[7])
    array.memory[: image.content.size] = image.at(0)
    driver = machine(create, array)
    driver.start(0, image.pass_count)
    with pytest.raises((TimeoutError, InputError)):
        driver.finish()
    assert array.told == ["clear", "start"]


def test_an_array_is_no_machine():
    with pytest.raises(InputError, match="OTHER_CONFIGURATION"):
        CDriver(model(), top=Top.MACHINE)
    driver = Driver(model())
    with pytest.raises(InputError, match="of a machine's lists"):
        driver.start(0, 1, two_queues=True)


@drivers
def test_errors_of_encode_passes_have_a_meaning(create):
    array = model(top=Top.MACHINE)
    driver = machine(create, array)
    for code, meaning in error_meanings(Top.MACHINE).items():
        array.values |= {"ERROR": int(code), "ERROR_PASS": 7}
        outcome = driver.finish()
        assert outcome.error == code
        if code:
            assert str(outcome) == f"pass 7: {code.name}: {meaning}"
        text = library(Top.MACHINE).gscn_error_text(int(code)).decode()
        assert text == meaning
