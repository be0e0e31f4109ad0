"""The command's arguments; the flows themselves are tested in tests/rtl_gen."""

import json

import pytest

import gscn.rtl_gen.area
from gscn.command.main import main
from gscn.rtl_gen.area import COMPONENTS, AreaReport, component_counts
from gscn.rtl_gen.synthesis import Counts, Netlist


@pytest.fixture
def calls(monkeypatch):
    """Replace the long measurement; collect what it is asked for."""
    collected = []

    def measure(name, config, **options):
        collected.append((name, config, options))
        counts = Counts(gates=9, flip_flops=8, multipliers=0, memory_bits=0, multiplier_gates=0)
        netlist = Netlist(top="top", modules=dict.fromkeys(COMPONENTS.values(), counts))
        rows = component_counts(config, netlist)
        return AreaReport(name=name, config=config, components=rows, clocks=())

    monkeypatch.setattr(gscn.rtl_gen.area, "measure_area", measure)
    return collected


def test_every_configuration_is_measured(calls, tmp_path, capsys):
    out, data = tmp_path / "new" / "area.md", tmp_path / "area.json"
    arguments = ["--config", "tiny", "tiny:int8", "--set", "acc_depth=64", "--flow"]
    assert main(["synth", *arguments, "--out", str(out), "--json", str(data)]) == 0
    assert [name for name, _, _ in calls] == ["tiny int16", "tiny int8"]
    assert [config.operand_format for _, config, _ in calls] == ["int16", "int8"]
    assert all(config.acc_depth == 64 for _, config, _ in calls)
    assert calls[0][2] == {"liberty": None, "ecp5": False, "clocks": []}
    text = out.read_text(encoding="utf-8")
    assert text.rstrip("\n") == capsys.readouterr().out.rstrip("\n")
    assert "| Streamer | 2 | 0 | - | - | - | - |" in text
    assert "| Streamer | 9 | 8 | 0 | - |" in text
    reports = json.loads(data.read_text())["reports"]
    assert [report["name"] for report in reports] == ["tiny int16", "tiny int8"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "huge"], "must be one of tiny, small, large, not 'huge'"),
        (["--config", "tiny:int7", "--flow"], "operand_format must be one of"),
        (["--formats", "int16+fp7", "--flow"], "float_formats must be empty or some of"),
        (["--liberty", "none.lib"], "install Debian's qflow-tech-osu018"),
    ],
)
def test_bad_input_exits_with_2_before_anything_is_measured(calls, capsys, arguments, message):
    assert main(["synth", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not calls
