"""What the README shows works as shown."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest

from gscn.command.main import SUBCOMMANDS, build_parser
from gscn.perf.workload.network_file import read_network


@pytest.fixture
def readme(repository):
    return (repository / "README.md").read_text(encoding="utf-8")


def block(text, language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return found


def test_every_subcommand_is_described(readme):
    assert tuple(re.findall(r"^\| `gscn (\w+)` \|", readme, re.MULTILINE)) == SUBCOMMANDS


def test_every_make_target_exists(readme, repository):
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake (\w+)", readme))
    assert {"demo", "test"} <= targets
    assert targets <= set(re.findall(r"^(\w[\w-]*):", makefile, re.MULTILINE))


def test_every_shown_command_is_valid_usage(readme):
    commands = re.findall(r"^gscn .*$", readme, re.MULTILINE)
    assert commands
    for command in commands:
        build_parser().parse_args(shlex.split(command)[1:])


def test_every_linked_file_exists(readme, repository):
    links = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert links
    assert [link for link in links if not (repository / link).exists()] == []


def test_the_network_file_is_read(readme, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(block(readme, "json"))
    assert [layer.name for layer in read_network(path, batch=32).layers] == [
        "conv1",
        "conv2",
        "fc",
    ]


@pytest.mark.cosim
def test_the_python_example_runs(readme, repository):
    done = subprocess.run(
        [sys.executable, "-c", block(readme, "python")],
        cwd=repository,
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+ cycles for \d+ products\n", done.stdout)
