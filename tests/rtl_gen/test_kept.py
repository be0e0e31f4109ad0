"""Verilog is read from where it is kept only if it is what would be generated."""

import json
import os

import pytest

from gscn.array import ARRAYS
from gscn.hw.core.array import Array
from gscn.rtl_gen import kept
from gscn.rtl_gen.array_verilog import Kind, array_verilog
from gscn.rtl_gen.verilog import VerilogModule, to_verilog

CONFIG = ARRAYS["tiny"]
OTHER = CONFIG.with_overrides(["clusters=1"])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where it is kept, empty, and whatever Yosys there is, none but Amaranth's own."""
    monkeypatch.setenv("GSCN_BUILD_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("AMARANTH_USE_YOSYS", "builtin")
    return tmp_path / "cache" / kept.FOLDER


@pytest.fixture
def asked():
    """Return what gives Verilog that tells how often it was made, by configuration and name."""
    made = []

    def ask(config=CONFIG, name="array"):
        def create():
            made.append(name)
            return VerilogModule(text=f"{len(made)}", ports={"clk": ("input", 1)})

        return int(kept.kept_verilog(config, name, create).text)

    return ask


def test_what_is_kept_is_what_was_made(asked, folder):
    assert [asked(), asked()] == [1, 1]
    assert len(list(folder.iterdir())) == 1
    module = kept.kept_verilog(CONFIG, "array", lambda: pytest.fail("made again"))
    assert module == VerilogModule(text="1", ports={"clk": ("input", 1)})


def test_the_array_is_kept_with_its_ports_as_it_is_made_anew():
    first = array_verilog(OTHER)
    assert array_verilog(OTHER) == first
    assert to_verilog(lambda: Array(config=OTHER), Kind.ARRAY.module) == first


def test_another_configuration_component_source_package_or_python_is_another_text(
    asked, monkeypatch
):
    assert asked() == 1
    assert asked(config=OTHER) == 2
    assert asked(name="machine") == 3
    with monkeypatch.context() as patch:
        patch.setattr(kept, "_LOADED_SOURCES", "edited")
        assert asked() == 4
    with monkeypatch.context() as patch:
        patch.setattr(kept, "tool_versions", lambda: {"amaranth": "0.0"})
        assert asked() == 5
    with monkeypatch.context() as patch:
        patch.setattr(kept.sys, "version", "2.7")
        assert asked() == 6
    assert asked() == 1


def put_yosys(folder, version):
    program = folder / "yosys"
    program.write_text(f"#!/bin/sh\necho 'Yosys {version} (git sha1 0)'\n")
    program.chmod(0o700)
    return program


@pytest.mark.parametrize(("version", "times"), [("0.55", [1, 2]), ("0.9", [1, 1])])
def test_nothing_is_kept_where_the_systems_yosys_is_used(
    asked, folder, monkeypatch, tmp_path, version, times
):
    monkeypatch.delenv("AMARANTH_USE_YOSYS")
    monkeypatch.setenv("YOSYS", str(put_yosys(tmp_path, version)))
    assert [asked(), asked()] == times
    assert folder.exists() == (times == [1, 1])


def test_nothing_is_kept_where_no_yosys_is_found(asked, folder, monkeypatch):
    monkeypatch.setenv("AMARANTH_USE_YOSYS", "another")
    assert [asked(), asked()] == [1, 2]
    assert not folder.exists()


def test_a_damaged_text_is_made_again(asked, folder):
    assert asked() == 1
    (path,) = folder.iterdir()
    content = json.loads(path.read_text())
    content["result"]["text"] = "7"
    path.write_text(json.dumps(content))
    assert [asked(), asked()] == [2, 2]
    path.write_text("{")
    assert [asked(), asked()] == [3, 3]


def test_a_folder_that_others_may_write_to_is_not_read(asked, folder):
    assert asked() == 1
    folder.chmod(0o777)
    assert [asked(), asked()] == [2, 3]


def test_a_folder_that_cannot_be_written_does_not_matter(asked, folder):
    folder.parent.mkdir(parents=True)
    folder.write_text("a file")
    assert [asked(), asked()] == [1, 2]


def test_those_not_used_for_the_longest_time_are_removed(asked, folder, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 2)
    assert [asked(name=name) for name in "ab"] == [1, 2]
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    assert asked(name="a") == 1
    assert asked(name="c") == 3
    assert len(list(folder.iterdir())) == 2
    assert asked(name="a") == 1
    assert asked(name="b") == 4
