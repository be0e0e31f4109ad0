"""Yosys' statistics, and what happens when Yosys is missing or fails."""

import importlib.util
import json

import pytest

from gscn.errors import InputError
from gscn.rtl_gen.yosys import parse_statistics, run_yosys, yosys_version


def report(**modules):
    return json.dumps(
        {
            "modules": {
                f"\\{name}": {"num_cells_by_type": cells, "num_memory_bits": bits}
                for name, (cells, bits) in modules.items()
            }
        }
    )


NESTED = report(
    top=({"middle": 2, "$_AND_": 1}, 5),
    middle=({"leaf": 3, "$_OR_": 1, "$scopeinfo": 4}, 0),
    leaf=({"$_AND_": 7}, 10),
)


def test_totals_multiply_nested_instances():
    statistics = parse_statistics(NESTED)
    assert statistics.total_cells("top") == {"$_AND_": 1 + 2 * 3 * 7, "$_OR_": 2}
    assert statistics.total_memory_bits("top") == 5 + 2 * 3 * 10
    assert statistics.modules["leaf"].area is None


def test_an_unknown_module_is_named():
    with pytest.raises(InputError, match="one of the netlist's leaf, middle, top, not 'bottom'"):
        parse_statistics(NESTED).total_cells("bottom")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"modules": {"a": {}}}', '{"modules": 3}'])
def test_other_text_is_refused(text):
    with pytest.raises(InputError, match="must be what `stat -json` writes"):
        parse_statistics(text)


@pytest.mark.skipif(importlib.util.find_spec("pyosys") is None, reason="needs pyosys")
def test_cells_are_mapped_below_a_path_with_spaces(tmp_path, monkeypatch):
    place = tmp_path / "temporary files"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    text = "module top(input [3:0] a, b, output [3:0] y); assign y = a + (b & a); endmodule\n"
    (place / "design.v").write_text(text)
    commands = ["read_verilog design.v", "synth -top top", "abc -g AND,XOR", "stat"]
    assert "$_XOR_" in run_yosys(commands, place)


def test_a_failing_command_is_reported_with_yosys_message(tmp_path):
    with pytest.raises(InputError, match="No such command: no_such_command"):
        run_yosys(["no_such_command"], tmp_path)


def test_missing_yosys_names_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pyosys, which is not installed: run `make synth`"):
        yosys_version()
    with pytest.raises(InputError, match="pyosys"):
        run_yosys(["help"], tmp_path)
