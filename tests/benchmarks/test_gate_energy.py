"""Energies at gates: parts, shares, what the page says of figures made up, and the page's own."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks import gate_energy, pages
from benchmarks.gate_activity import Activity
from benchmarks.gate_energy import Mapped, clocked_by, clocked_share, mapped, modelled, part_of
from benchmarks.gate_energy_text import coefficients, compared, quotes, render
from gscn.array import ARRAYS
from gscn.conv import Pass
from gscn.cosim.layer import prepare
from gscn.emulator.passes import run_passes
from gscn.formats import FLOAT32
from gscn.perf.estimate.energy import HOROWITZ_45NM
from gscn.rtl_gen.cells import read_cells
from gscn.rtl_gen.gate_power import CLOCK, INPUTS
from gscn.rtl_gen.gates import timing
from tests.benchmarks.test_gate_activity import Told
from tests.benchmarks.test_gate_stimuli import made
from tests.rtl_gen.few_cells import AREAS, write_liberty
from tests.rtl_gen.made_gates import FALLS, GATES, PULSE, RISES, A, cell


@pytest.mark.parametrize(
    ("path", "part"),
    [
        (("walker", "pe", "pe.walker_multiplier"), "multiplier"),
        (("accumulators", "pe.accumulators_adder"), "adder"),
        (("accumulators",), "accumulators"),
        (("words", "queue"), "queue of words"),
        (("lookup",), "look-up and its queue"),
        ((), "registers and control"),
        (("other",), "registers and control"),
    ],
)
def test_cells_count_for_the_part_that_they_are_in(path, part):
    assert part_of(path) == part


def test_flip_flops_get_the_clock_as_often_as_what_gates_it_rises(tmp_path):
    library = read_cells(write_liberty(tmp_path / "few.lib", latch=True))
    more = (cell("DFFX1", CLK=PULSE, D=A, Q=20), cell("LATX1", CLK=A, D=PULSE, Q=21))
    gates = dataclasses.replace(GATES, cells=(*GATES.cells, *more))
    one = Mapped(gates=gates, times=timing(gates, library), library=library, figures={})
    assert clocked_by(gates, library) == {gates.clock: 1, PULSE: 1}
    seen = Activity(rises=RISES, falls=FALLS, reads={}, writes={})
    assert clocked_share(one, seen, 8) == (8 + RISES[PULSE]) / 16


def test_a_component_is_mapped_with_its_figures(tmp_path):
    liberty = write_liberty(tmp_path / "few.lib", latch=True)
    found = mapped(Told, liberty, place=False).figures
    expected = {"flip_flops": 9, "gated": 8, "gates": 1, "memory_bits": 0, "mhz": None}
    assert {name: found[name] for name in expected} == expected
    assert found["area"] > 9 * AREAS["DFFX1"]


def test_the_model_counts_what_the_law_does():
    config = dataclasses.replace(ARRAYS["tiny"], clusters=1)
    one = made(Pass.FORWARD)
    found = modelled(config, one)
    image, _ = prepare(config, one, 32, FLOAT32)
    law = run_passes(
        config, image.image, image.descriptors_addr, image.descriptor_count, image.memory_bytes
    )
    products = sum(counts.products for counts in law.counts)
    results = sum(end - begin for begin, end in image.output_ranges) / 4
    assert found["drained"] == pytest.approx(config.pes * results / products)
    # it knows words and their mean, not which of them look up more at a border
    lookups = sum(counts.lookups for counts in law.counts)
    assert found["lookups"] == pytest.approx(lookups / products, rel=0.25)


def row(scale, **parts):
    sparse = {"multiplier": 80.0, "adder": 10.0, "accumulators": 20.0, "walker": 10.0,
              "look-up and its queue": 6.0, "queue of words": 4.0, CLOCK: 100.0, INPUTS: 2.0,
              "registers and control": 8.0}  # fmt: skip
    dense = {"multiplier": 90.0, "adder": 10.0, CLOCK: 20.0, "registers and control": 5.0}
    shared = {"cycles": 30, "products": 20, "clocked": 0.25, "reads": {}, "writes": {}}
    memories = {"walker": 1.0, "lookup": 1.0, "accumulators": 1.25}
    return {
        "layer": f"layer{scale}", "pass": "forward",
        "model": {"lookups": 0.5, "drained": 0.1},
        "sparse": shared | {"parts": {k: scale * v for k, v in sparse.items()},
                            "reads": memories, "writes": memories},
        "dense": shared | {"parts": dense},
        "dense_zeros": shared | {"parts": {k: v / 5 for k, v in dense.items()}},
    }  # fmt: skip


DATA = {
    "config": {"acc_width": 48},
    "voltage": 1.8,
    "tools": {"yosys": "1"},
    "settings": {"network": "net", "method": "swat", "sparsity": 0.9, "batch": 4, "iterations": 9},
    "components": {
        name: {"area": 1000.0, "multiplier_area": 10.0, "queue_area": 0.0, "memory_bits": 5,
               "cells": 7, "flip_flops": 3, "gated": 2, "gates": 1, "cell_delay_ns": 2.5,
               "mhz": None, "seeds": None}
        for name in ("PE", "dense PE")
    },
    "layers": [row(1.0), row(2.0)],
}  # fmt: skip


def test_coefficients_are_means_in_multiply_adds():
    assert coefficients(DATA["layers"]) == pytest.approx(
        {
            "product": 0.4 * 1.5,
            "lookup": 0.1 / 0.5 * 1.5,
            "clock": 1.0 * 1.5,
            "dense product": 0.05,
            "dense clock": 0.2,
        }
    )


def test_gates_and_model_are_compared_in_their_own_units():
    first, second = compared(DATA)
    assert first["gates"] == pytest.approx(2.4)
    assert second["gates"] == pytest.approx(4.8)
    assert first["arithmetic"] == 1.0
    assert first["model"] == pytest.approx(1.0 + 0.6 + 1.5 + 0.3 * 0.5)


def test_the_page_says_what_was_measured():
    text = render(DATA)
    assert "takes 1.92 to 3.84 times one of the dense PE" in text
    assert "| layer1.0 forward | 2.40 | 1.00 | +140 % | 3.25 | -26 % |" in text
    assert "takes 20.0 % to\n20.0 % of what it takes" in text
    assert "2 of 2 layers" in text
    assert "Of its 3\nflip-flops 2 are behind 1 gates; 25.0 % to\n25.0 % of all" in text
    assert quotes(DATA)["most-tax"] == "3.84"


def test_the_model_has_the_coefficients_of_the_page():
    known = coefficients(pages.load(gate_energy.PAGE.name)["data"]["layers"])
    for name, value in known.items():
        field = name.replace(" ", "_")
        assert getattr(HOROWITZ_45NM.pe_logic, field) == pytest.approx(value, abs=5e-4)
