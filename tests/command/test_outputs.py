"""Outputs are tried before a run, and a result that its file does not take is printed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gscn.command import main as command
from gscn.command.main import build_parser, main
from gscn.command.options import add_output_file, add_output_folder
from gscn.command.result import Result
from gscn.errors import OutputError

QUICK = ("estimate", "--model", "resnet20", "--batch", "1", "--mode", "analytic")


@pytest.fixture
def subcommand(monkeypatch):
    """Put a subcommand with two outputs in place of the real ones."""

    def add_arguments(parser):
        add_output_file(parser, "--table")
        add_output_folder(parser, "--out")

    def run(args):
        module.ran = True
        module.work()
        return module.outcome

    module = SimpleNamespace(
        SUMMARY="Does what the test says.",
        EXAMPLE="gscn fake",
        add_arguments=add_arguments,
        run=run,
        ran=False,
        work=lambda: None,
        outcome=Result(data={"answer": 1}, text="done"),
    )
    monkeypatch.setattr(command, "SUBCOMMANDS", ("fake",))
    monkeypatch.setitem(sys.modules, "gscn.command.fake", module)
    return module


@pytest.mark.parametrize("option", ["--json", "--table", "--out"])
def test_an_output_that_cannot_be_is_refused_before_the_run(subcommand, tmp_path, capsys, option):
    (tmp_path / "file").write_text("old")
    below = tmp_path / "file" / "below"
    assert main(["fake", option, str(below)]) == 2
    kind = "folder" if option == "--out" else "file"
    message = f"gscn fake: {option} {below} must be a {kind} that can be written: Not a directory\n"
    assert capsys.readouterr() == ("", message)
    assert not subcommand.ran
    assert (tmp_path / "file").read_text() == "old"


def test_every_output_that_cannot_be_is_named(subcommand, tmp_path, capsys):
    assert main(["fake", "--table", str(tmp_path), "--json", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"--table {tmp_path} must be a file" in error
    assert f"--json {tmp_path} must be a file" in error


@pytest.mark.parametrize(
    ("json_path", "table", "out"),
    [
        ("a", "a", "b"),
        ("a/b", "a", "c"),
        ("a", "b", "a"),
        ("a", "b", "a/c"),
        ("./a", "../x/a", "b"),
    ],
)
def test_outputs_in_each_others_places_are_refused(
    subcommand, tmp_path, capsys, monkeypatch, json_path, table, out
):
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path / "x")
    assert main(["fake", "--json", json_path, "--table", table, "--out", out]) == 2
    assert "must be elsewhere than the file of" in capsys.readouterr().err
    assert list((tmp_path / "x").iterdir()) == []


def test_outputs_beside_and_inside_folders_are_good(subcommand, tmp_path):
    out = tmp_path / "out"
    words = ["--out", str(out), "--json", str(out / "a.json"), "--table", "/dev/null"]
    assert main(["fake", *words]) == 0
    assert json.loads((out / "a.json").read_text()) == {"answer": 1}


def test_a_result_whose_file_fails_in_the_end_is_printed(subcommand, tmp_path, capsys):
    path = tmp_path / "a.json"
    subcommand.work = path.mkdir
    assert main(["fake", "--json", str(path)]) == 2
    out, error = capsys.readouterr()
    assert out.startswith("done\n")
    assert json.loads(out.removeprefix("done\n")) == {"answer": 1}
    assert error.startswith(f"gscn fake: --json {path} must be a file that can be written: Is a ")
    assert error.count("\n") == 1


def test_problems_of_a_run_follow_its_result(subcommand, capsys):
    subcommand.outcome = Result(text="done", problems=("log must be writable", "plot too"))
    assert main(["fake"]) == 2
    assert capsys.readouterr() == (
        "done\n",
        "gscn fake: log must be writable\ngscn fake: plot too\n",
    )


def test_every_option_that_names_an_output_is_tried():
    """By the words of its help; `--cache` keeps what is written for the next run."""
    parser = build_parser()
    (choices,) = (action.choices for action in parser._actions if action.dest == "subcommand")
    words = ("write", "save", "draw", "directory of the files", "go here", "directory to make",
             "folder of report.html", "kept for the next run")  # fmt: skip
    for name, sub in choices.items():
        tried = {option for option, _, _ in sub.get_default("outputs")}
        named = {
            action.option_strings[0]
            for action in sub._actions
            if action.option_strings
            and action.metavar is not None
            and ("FILE" in action.metavar or "DIR" in action.metavar)
            and any(word in action.help for word in words)
            and action.option_strings[0] not in ("--build-dir", "--checkpoint-every")
        }
        assert named <= tried, (name, named - tried)
        assert "--json" in tried


def shell(line: str, **more: object) -> subprocess.CompletedProcess:
    command = f"{sys.executable} -m gscn {line}"
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=False, **more)


GENERATE = "generate --config tiny --out rtl"
"""Takes a tenth of the time of what imports torch."""


@pytest.mark.parametrize("words", [GENERATE, "--version", "--help", "train --help"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_or_closed_standard_output_is_told_in_a_sentence(tmp_path, words, unbuffered):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    full = shell(f"{words} >/dev/full", env=environment, cwd=tmp_path)
    message = "gscn: standard output must take the result: No space left on device\n"
    assert (full.returncode, full.stderr) == (2, message)
    closed = shell(f"{words} >&-", env=environment, cwd=tmp_path)
    assert (closed.returncode, closed.stderr) == (
        2,
        "gscn: standard output must be open, for the result\n",
    )


def test_a_reader_that_has_seen_enough_is_no_error():
    done = shell("--help | true; exit ${PIPESTATUS[0]}", executable="/bin/bash")
    assert (done.returncode, done.stderr) == (0, "")


def test_closed_and_full_standard_errors_and_inputs_do_no_harm(tmp_path):
    for closed in ("<&- 2>&-", "2>/dev/full"):
        done = shell(f"{GENERATE} --json a.json {closed}", cwd=tmp_path)
        assert done.returncode == 0
        assert "module gscn_top, 26 ports" in done.stdout
        assert json.loads((tmp_path / "a.json").read_text())["module"] == "gscn_top"
        assert shell(f"nonsense {closed}").returncode == 2
    assert shell("estimate --model none 2>/dev/full").returncode == 2


def test_a_full_device_for_json_is_told_after_the_result():
    done = shell(f"{' '.join(QUICK)} --json /dev/full")
    assert done.returncode == 2
    assert json.loads(done.stdout[done.stdout.index("\n{") :])["network"] == "resnet20"
    assert done.stderr.count("\n") == 1
    assert "--json /dev/full must be a file that can be written: No space left" in done.stderr


def test_a_set_of_generated_files_is_written_whole_or_not_at_all(tmp_path, monkeypatch, capsys):
    out = tmp_path / "rtl"
    assert main(["generate", "--config", "tiny", "--out", str(out)]) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    open_file = Path.open
    opened = []

    def fail(path, mode="r", *rest, **more):
        # The disk is full with the third file.
        if "x" in mode:
            opened.append(path)
            if len(opened) > 4:
                raise OSError(errno.ENOSPC, "No space left on device")
        return open_file(path, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", fail)
    capsys.readouterr()
    words = ["generate", "--config", "tiny", "--set", "clusters=1", "--out"]
    assert main([*words, str(out)]) == 2
    assert capsys.readouterr().err.endswith("No space left on device\n")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert main([*words, str(tmp_path / "new")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["rtl"]


@pytest.mark.parametrize("failing", ["checkpoint", "log", "plot"])
def test_training_is_reported_though_its_files_fail_in_the_end(
    tmp_path, monkeypatch, capsys, failing
):
    from gscn.command import train
    from gscn.command.training_log import TrainingLog
    from gscn.golden.training.training import Trainer

    def fail(*_, **__):
        raise OutputError(f"{failing} must be a file that can be written: No space left on device")

    if failing == "checkpoint":
        monkeypatch.setattr(Trainer, "save", fail)
    elif failing == "log":
        close = TrainingLog.close
        monkeypatch.setattr(TrainingLog, "close", lambda log: (close(log), fail()))
    else:
        monkeypatch.setattr(train, "save_plot", fail)
    words = ["--out", "m.pt", "--log", "l.csv", "--plot", "l.svg"]
    paths = [word if word[0] == "-" else str(tmp_path / word) for word in words]
    assert main(["train", "--epochs", "1", "--iterations", "2", "--batch", "16", *paths]) == 2
    out, error = capsys.readouterr()
    assert "2 iterations of 16 images" in out
    assert ("checkpoint:" in out) == (failing != "checkpoint")
    assert error == (
        f"gscn train: {failing} must be a file that can be written: No space left on device\n"
    )


def test_a_plot_of_an_unknown_kind_is_refused_before_training(tmp_path, capsys):
    words = ["--log", str(tmp_path / "l.csv"), "--plot", str(tmp_path / "plot.xyz")]
    assert main(["train", *words]) == 2
    assert "--plot must end in one of ." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [["-m", "gscn"], ["-c", "from gscn.command.__main__ import main; main()"]]
)
def test_the_version_is_that_of_the_package(words):
    from importlib import metadata

    command = [sys.executable, *words, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"gscn {metadata.version('gscn')}\n"
