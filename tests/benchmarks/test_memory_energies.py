"""CACTI is asked for the sizes of the table, and what it says is read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmarks import memory_energies
from gscn.errors import InputError

EXAMPLE = "\n".join(
    f"-{name} something" for name in memory_energies.settings(32, 16, ports=(0, 1, 1))
)
ANSWER = """\
---------- CACTI (version 7.0 made up, of a test), Uniform Cache Access ----------
    Total dynamic read energy per access (nJ): 0.5
    Total dynamic write energy per access (nJ): 0.25
  Data array: Area (mm2): 0.125
"""


def test_every_setting_takes_the_place_of_one_line():
    text = memory_energies.configured("// kept\n" + EXAMPLE, {"associativity": "3"})
    assert "// kept" in text
    assert "\n-associativity 3" in text
    assert text.count("something") == EXAMPLE.count("something") - 1
    with pytest.raises(InputError, match="must set 'colour'"):
        memory_energies.configured(EXAMPLE, {"colour": "red"})


def test_energies_are_picojoules_and_what_is_missing_is_named():
    assert memory_energies.found(ANSWER) == {"read": 500, "write": 250, "area": 0.125}
    with pytest.raises(InputError, match=r"must tell a memory's write, but wrote: '.* no memory'"):
        memory_energies.found("Total dynamic read energy per access (nJ): 0.5 no memory")


def cacti(folder, answer):
    """Put a program in a folder that says the same of every memory."""
    folder.mkdir()
    (folder / "cache.cfg").write_text(EXAMPLE)
    program = folder / "cacti"
    program.write_text(f"#!/bin/sh\ncat <<'EOF'\n{answer}EOF\n")
    program.chmod(0o755)
    return folder


def test_the_file_has_every_size(tmp_path, monkeypatch):
    target = tmp_path / "energies.json"
    monkeypatch.setattr(memory_energies, "TARGET", target)
    assert memory_energies.main(["--cacti", str(cacti(tmp_path / "cacti", ANSWER))]) == 0
    content = json.loads(target.read_text())
    assert content["source"].startswith("CACTI 7.0 made up, of a test, 45 nm")
    sizes = [(rows, bits) for rows, bits, *_ in content["small"]]
    assert sizes == [
        (rows, bits) for rows in memory_energies.SMALL_ROWS for bits in memory_energies.SMALL_BITS
    ]
    assert all(row[2:] == [500, 250, 0.125] for row in content["small"] + content["large"])


def test_an_answer_without_a_version_is_refused(tmp_path):
    answer = ANSWER.replace("version", "of")
    with pytest.raises(InputError, match="CACTI must tell its version, but wrote: 'TI "):
        memory_energies.table(cacti(tmp_path / "cacti", answer))


def test_a_memory_that_is_not_found_leaves_no_file(tmp_path, monkeypatch, capsys):
    target = tmp_path / "energies.json"
    monkeypatch.setattr(memory_energies, "TARGET", target)
    assert memory_energies.main(["--cacti", str(cacti(tmp_path / "cacti", "none\n"))]) == 1
    assert "CACTI must tell a memory's read, but wrote: 'none\\n'" in capsys.readouterr().err
    assert memory_energies.main(["--cacti", str(tmp_path / "nowhere")]) == 1
    assert not target.exists()


@pytest.mark.slow
@pytest.mark.skipif("GSCN_CACTI" not in os.environ, reason="GSCN_CACTI names no folder of CACTI 7")
def test_the_table_is_what_cacti_says():
    published = json.loads(memory_energies.TARGET.read_text())
    assert memory_energies.table(Path(os.environ["GSCN_CACTI"])) == published
