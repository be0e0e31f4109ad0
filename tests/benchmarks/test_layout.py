"""The page of layouts: its parts, rows and what texts quote."""

from __future__ import annotations

import json

import pytest

from benchmarks import layout
from benchmarks.pages import load
from gscn.hw.dense.dense_pe import DensePe
from gscn.hw.pe.worker import Worker
from gscn.rtl_gen.layout.measure import PLACEMENTS
from tests.rtl_gen.layout.test_measure import small_layout


def record(**parts):
    return {"versions": {"qrouter": "1.4"}, "config_digest": "0", "parts": parts}


@pytest.mark.parametrize(("name", "kind"), [(layout.PE, Worker), (layout.DENSE, DensePe)])
def test_parts_are_components_of_one_configuration(name, kind):
    made = layout.component(name)()
    assert isinstance(made, kind)
    assert made.config == layout.configuration()


def test_every_part_has_a_component():
    for name in (*layout.PARTS, *layout.MORE):
        assert layout.component(name)().config.operand_format == layout.FORMAT


def test_the_page_has_a_column_for_each_part():
    one = small_layout().to_dict()
    one["after"]["outputs"] = one["after"]["outputs"] | {"delay_ns": 4.0}
    text = layout.render(record(PE=one, half=one | {"vias": 1234}))
    assert "| vias | 7 | 1,234 |" in text
    assert "| **clock, register to register (MHz)** | **500** | **500** |" in text
    assert "| clock of all these paths (MHz) | 250 | 250 |" in text
    assert "| port to register (ns) | - | - |" in text
    assert "| PE | `D_1/Q` to `D_1/D` |" in text
    assert "| half | 0.0 | 0.0 | 0.0 |" in text
    assert "qrouter 1.4" in text


def test_quoted_figures_are_those_of_the_parts():
    assert layout.quotes(record(**{"PE: Sums": small_layout().to_dict()})) == {
        "pe-sums-mhz": "500",
        "pe-sums-all-paths-mhz": "500",
        "pe-sums-area": "192",
        "pe-sums-wire-mm": "0",
        "pe-sums-gated": "0.0 %",
    }


def test_the_command_writes_the_figures_of_the_parts_that_it_is_given(monkeypatch, capsys):
    monkeypatch.setattr(layout, "lay_out", lambda name: {"name": name})
    monkeypatch.setattr(layout, "record", lambda parts: parts)
    assert layout.main([layout.PE]) == 0
    assert json.loads(capsys.readouterr().out) == {"PE": {"name": "PE"}}
    with pytest.raises(SystemExit):
        layout.main(["Cluster"])


def test_the_record_is_of_layouts_that_were_right():
    found = layout.layouts(load("layout")["data"])
    assert tuple(found) == layout.PARTS
    for one in found.values():
        assert 1 <= one.placement <= PLACEMENTS
        assert one.after.registers.delay_ns > one.before.registers.delay_ns
        assert one.utilisation <= 1
