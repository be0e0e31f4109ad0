"""The command's frame: statuses, messages, JSON, tables."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from gscn.command import main as command
from gscn.command.main import main, write_json
from gscn.command.result import Result, table
from gscn.errors import InputError, MismatchError


@pytest.fixture
def subcommand(monkeypatch):
    """Put one subcommand, whose outcome the test sets, in place of the real ones."""

    def run(args):
        if isinstance(module.outcome, Exception):
            raise module.outcome
        return module.outcome

    module = SimpleNamespace(
        SUMMARY="Does what the test says.",
        EXAMPLE="gscn fake",
        add_arguments=lambda parser: parser.add_argument("--size", type=int, default=1),
        run=run,
        outcome=Result(data={"answer": 1}, text="done"),
    )
    monkeypatch.setattr(command, "SUBCOMMANDS", ("fake",))
    monkeypatch.setitem(sys.modules, "gscn.command.fake", module)
    return module


def test_a_good_run_prints_its_text_and_exits_with_0(subcommand, capsys):
    assert main(["fake"]) == 0
    assert capsys.readouterr() == ("done\n", "")


def test_a_mismatch_exits_with_1_and_still_reports(subcommand, capsys, tmp_path):
    subcommand.outcome = Result(data={"differences": 3}, text="3 differ", mismatch=True)
    assert main(["fake", "--json", str(tmp_path / "a.json")]) == 1
    assert capsys.readouterr().out == "3 differ\n"
    assert json.loads((tmp_path / "a.json").read_text()) == {"differences": 3}


def test_a_raised_mismatch_exits_with_1(subcommand, capsys):
    subcommand.outcome = MismatchError("word 7 is 3, not 4")
    assert main(["fake"]) == 1
    assert capsys.readouterr() == ("", "gscn fake: word 7 is 3, not 4\n")


def test_bad_input_exits_with_2_and_one_line(subcommand, capsys):
    subcommand.outcome = InputError("size must be even, not 3")
    assert main(["fake"]) == 2
    assert capsys.readouterr() == ("", "gscn fake: size must be even, not 3\n")


def test_an_error_of_ours_is_not_hidden(subcommand):
    subcommand.outcome = ZeroDivisionError("a defect")
    with pytest.raises(ZeroDivisionError):
        main(["fake"])


@pytest.mark.parametrize("words", [[], ["unknown"], ["fake", "--size", "x"], ["fake", "--colour"]])
def test_bad_usage_exits_with_2(subcommand, capsys, words):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: gscn" in capsys.readouterr().err


def test_json_is_replaced_whole(tmp_path):
    path = tmp_path / "deep" / "result.json"
    write_json(path, {"a": 1})
    write_json(path, {"b": [1.5, None]})
    assert json.loads(path.read_text()) == {"b": [1.5, None]}
    assert [p.name for p in path.parent.iterdir()] == ["result.json"]


def test_json_without_a_meaning_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}


def test_json_to_a_place_that_cannot_be_written_is_bad_input(subcommand, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["fake", "--json", str(tmp_path / "file" / "result.json")]) == 2
    assert "must be a file that can be written" in capsys.readouterr().err
    assert main(["fake", "--json", str(tmp_path)]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_help_is_complete_and_loads_no_heavy_library():
    program = (
        "import sys\n"
        "from gscn.command.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as exit:\n    assert exit.code == 0\n"
        "heavy = {'torch', 'numba', 'amaranth', 'cocotb', 'matplotlib', 'sklearn', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # What a long name does is said in the next line.
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("    ")}
    assert listed >= set(command.SUBCOMMANDS)


@pytest.mark.parametrize("name", command.SUBCOMMANDS)
def test_every_subcommand_has_a_summary_and_an_example(name, capsys):
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert f"example: gscn {name}" in out
    assert "--json" in out


@pytest.mark.parametrize("name", command.SUBCOMMANDS)
def test_the_example_is_valid_usage(name):
    parser = command.build_parser()
    module = sys.modules[f"gscn.command.{name.replace('-', '_')}"]
    args = parser.parse_args(module.EXAMPLE.split()[1:])
    assert args.subcommand == name


def test_bad_input_of_a_real_subcommand_exits_with_2(capsys):
    assert main(["estimate", "--model", "alexnet"]) == 2
    assert capsys.readouterr().err.startswith("gscn estimate: a model must be one of resnet18")
    assert main(["estimate", "--batch", "0"]) == 2
    assert "batch must be at least 1, not 0" in capsys.readouterr().err


def test_a_table_is_aligned():
    text = table(
        ("layer", "cycles"), [("conv1", 12_345.0), ("fc", None), ("x", 0.123456)], title="Time"
    )
    assert text.splitlines() == [
        "Time",
        "layer  cycles",
        "-----  ------",
        "conv1   12345",
        "fc          -",
        "x      0.1235",
    ]


def test_a_table_without_rows_is_its_header():
    assert table(("a", "b"), []).splitlines() == ["a  b", "-  -"]


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"gscn {importlib.metadata.version('gscn')}\n"
