"""The drivers from C and from Python run lists on the Verilog behind AXI."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.counters import CLUSTER_COUNTER_NAMES, COUNTERS_PER_CLUSTER
from gscn.driver.list_image import join_passes
from gscn.emulator.passes import run_passes
from gscn.passes import DESCRIPTOR_BYTES
from tests.cosim.axi_simulator import build_axi, run_drivers
from tests.driver.layers import CONFIG, layer_passes

pytestmark = pytest.mark.cosim

COUNTERS = CONFIG.clusters * COUNTERS_PER_CLUSTER + 1
BASES = (0, 8192 + 64)
DRIVERS = ("C", "Python")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    driver: str
    base: int
    interrupts: bool = False
    wrong: int | None = None
    """Number of a pass with an address that is no multiple of 64."""
    abort: bool = False
    memory_base: int = 0

    def image(self, passes):
        content = passes.at(self.base).copy()
        if self.wrong is not None:
            content[self.wrong * DESCRIPTOR_BYTES] ^= 1
        return np.concatenate([np.zeros(self.base, np.uint8), content])


CASES = [
    *(
        Case(driver=driver, base=base, interrupts=interrupts)
        for driver, base, interrupts in itertools.product(DRIVERS, BASES, (False, True))
    ),
    *(Case(driver=driver, base=BASES[1], interrupts=True, wrong=1) for driver in DRIVERS),
    *(Case(driver=driver, base=BASES[1], interrupts=True, abort=True) for driver in DRIVERS),
    *(Case(driver=driver, base=BASES[1], interrupts=True) for driver in DRIVERS),
]
"""The last ones show that what an error has left behind does no harm."""


@pytest.fixture(scope="module")
def passes():
    return join_passes(layer_passes())


def run_cases(cases, passes, attributes, folder, pause_share=0.2):
    """Return what each case's program saw, and the memory that it left."""
    scenarios = []
    for index, case in enumerate(cases):
        case.image(passes).tofile(folder / f"{index}.image")
        scenarios.append(
            {
                "image": f"{index}.image",
                "memory_bytes": case.base + passes.memory_bytes,
                "driver": case.driver,
                "address": case.base,
                "count": passes.pass_count,
                "interrupts": case.interrupts,
                "abort": case.abort,
                "memory_base": case.memory_base,
            }
        )
    return run_drivers(
        build_axi(CONFIG, attributes),
        CONFIG,
        scenarios,
        folder,
        counters=COUNTERS,
        pause_share=pause_share,
    )


@pytest.fixture(scope="module")
def outcomes(passes, tmp_path_factory):
    return run_cases(CASES, passes, DEFAULT_AXI, tmp_path_factory.mktemp("driver"))


@pytest.mark.parametrize("index", range(len(CASES)))
def test_a_program_gets_what_the_functional_model_computes(index, passes, outcomes):
    case, (seen, memory) = CASES[index], outcomes[index]
    image = case.image(passes)
    size = case.base + passes.memory_bytes
    ran = run_passes(CONFIG, image, case.base, passes.pass_count, size)
    if case.abort:
        assert seen["error"] == "ABORTED"
        return
    assert (seen["error"], seen["error_pass"]) == (ran.error.name, case.wrong)
    if case.wrong is not None:
        assert seen["text"].startswith(f"pass {case.wrong}: ADDRESS")
        return
    assert np.array_equal(memory, ran.memory)
    *clusters, busy_cycles = seen["counters"]
    names = len(CLUSTER_COUNTER_NAMES)
    of_pe_cycles = np.reshape(clusters, (CONFIG.clusters, -1))[:, :names]
    assert np.all(of_pe_cycles.sum(axis=1) == busy_cycles * CONFIG.pes)
    products = of_pe_cycles[:, CLUSTER_COUNTER_NAMES.index("busy")].sum()
    assert products == sum(one.products for one in ran.counts)
    if case.interrupts:
        # one interrupt, and no other event that would end the wait
        assert seen["waits"] == 1
    else:
        assert seen["waits"] > 1


MEMORY_BASES = (0xFEDC_BA98_FFFF_F000, 1 << 40)
"""Where memory begins on a bus of 64 bits; addresses behind the first carry into the upper half."""


def test_memory_beyond_the_array_s_addresses_gives_the_same_in_the_same_cycles(passes, tmp_path):
    """Of 64 bits of address on the bus, by both drivers; a wrong pass in between is told."""
    cases = [
        Case(driver=driver, base=BASES[1], interrupts=True, memory_base=memory_base, wrong=wrong)
        for wrong in (None, 1, None)
        for driver in DRIVERS
        for memory_base in (0, *MEMORY_BASES)
    ]
    # counters can be compared if memory does not pause
    found = run_cases(cases, passes, AxiAttributes(addr_width=64), tmp_path, pause_share=0)
    ran = run_passes(
        CONFIG, cases[0].image(passes), BASES[1], passes.pass_count, BASES[1] + passes.memory_bytes
    )
    for case, (seen, memory) in zip(cases, found, strict=True):
        assert (seen["error"], seen["error_pass"]) == (
            ("NONE", None) if case.wrong is None else ("ADDRESS", 1)
        )
        if case.wrong is None:
            assert np.array_equal(memory, ran.memory)
            assert seen["counters"] == found[0][0]["counters"]
    assert any(found[0][0]["counters"])
