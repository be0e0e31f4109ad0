"""What the README and its guides show works as shown."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest

from gscn.array import ARRAYS
from gscn.command.main import SUBCOMMANDS, build_parser, main
from gscn.perf.workload.network_file import read_network


@pytest.fixture
def readme(repository):
    return (repository / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def commands(repository):
    return (repository / "docs" / "guides" / "command.md").read_text(encoding="utf-8")


@pytest.fixture
def own(repository):
    return (repository / "docs" / "guides" / "own-networks.md").read_text(encoding="utf-8")


def block(text, language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return found


def test_it_has_one_figure_and_one_table_of_at_most_six_rows(readme):
    assert len(re.findall(r"^!\[", readme, re.MULTILINE)) == 1
    (table,) = re.findall(r"(?:^\|.*\n)+", readme, re.MULTILINE)
    assert len(table.splitlines()) - 2 <= 6


def test_every_subcommand_is_described(commands):
    assert tuple(re.findall(r"^\| `gscn ([\w-]+)` \|", commands, re.MULTILINE)) == SUBCOMMANDS


def test_presets_are_those_of_the_table(commands):
    table = commands.split("<!-- table: presets -->\n")[1].split("\n\n")[0].splitlines()[2:]
    shown = [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in table]
    assert shown == [
        [
            *(name, str(config.clusters), str(config.pes), str(config.multipliers)),
            *(str(config.stationary_depth), str(config.directory_depth)),
            *(str(config.acc_depth), str(config.mem_width)),
        ]
        for name, config in ARRAYS.items()
    ]
    assert {config.operand_format for config in ARRAYS.values()} == {"int16"}
    assert {config.ports for config in ARRAYS.values()} == {1}


def test_every_make_target_exists(readme, repository):
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake (\w+)", readme))
    assert {"demo", "test"} <= targets
    assert targets <= set(re.findall(r"^(\w[\w-]*):", makefile, re.MULTILINE))


def test_every_shown_command_is_valid_usage(repository):
    pages = [repository / "README.md", *sorted((repository / "docs").rglob("*.md"))]
    shown = [
        command
        for page in pages
        for command in re.findall(r"^gscn .*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert len(shown) >= 5
    for command in shown:
        build_parser().parse_args(shlex.split(command)[1:])


def test_every_linked_file_exists(readme, repository):
    links = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert links
    assert [link for link in links if not (repository / link).exists()] == []


def test_the_network_file_is_read(own, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(block(own, "json"))
    assert [layer.name for layer in read_network(path, batch=32).layers] == [
        "conv1",
        "conv2",
        "fc",
    ]


def test_the_model_is_estimated_and_made_sparse_in_six_lines(readme, capsys):
    names: dict[str, object] = {}
    source = block(readme, "python")
    assert len([line for line in source.splitlines() if line]) <= 6
    exec(source, names)
    assert names["model"][0].gscn is not None
    assert "training, times faster" in capsys.readouterr().out


def test_a_model_is_analysed_as_shown(own):
    names: dict[str, object] = {}
    exec(re.findall(r"```python\n(.*?)```", own, re.DOTALL)[0], names)
    assert [one.name for one in names["found"].network.layers] == ["0", "3"]


@pytest.mark.parametrize("name", ["generator", "unet", "siamese"])
def test_networks_of_a_users_own_have_the_output_that_is_shown(
    own, name, repository, monkeypatch, capsys
):
    monkeypatch.chdir(repository)
    (shown,) = re.findall(rf"```\n(gscn .*)\n```\n\n<!-- output: {name} -->\n```\n", own)
    (output,) = re.findall(rf"<!-- output: {name} -->\n```\n(.*?)\n```", own, re.DOTALL)
    assert main(shlex.split(shown)[1:]) == 0
    assert capsys.readouterr().out.startswith(f"{output}\n\nwhole network, over a dense array")


@pytest.mark.cosim
def test_tensors_run_on_the_verilog_as_shown(own, repository):
    done = subprocess.run(
        [sys.executable, "-c", re.findall(r"```python\n(.*?)```", own, re.DOTALL)[1]],
        cwd=repository,
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+ cycles for \d+ products\n", done.stdout)
