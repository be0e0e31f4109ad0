"""Modules of memories are found, can be left out, and are as good if made of subarrays."""

from __future__ import annotations

import re

import pytest

from gscn.array import ARRAYS
from gscn.errors import InputError
from gscn.hw.ram import RamRows
from gscn.rtl_gen import generate, load_manifest
from gscn.rtl_gen.array_verilog import Kind, array_verilog
from gscn.rtl_gen.rams import (
    MACROS,
    SUBARRAYS_FILE,
    RamModule,
    guarded,
    ram_modules,
    subarrays_text,
)
from gscn.rtl_gen.secded import SECDED_FILE
from gscn.rtl_gen.verilog import to_verilog
from gscn.rtl_gen.yosys import parse_statistics, run_yosys

pytest.importorskip("pyosys")
TINY = ARRAYS["tiny"]
SIZES = [(7, 6, 6), (5, 4, 2), (4, 3, 3), (2, 2, 1), (9, 2, 2)]


def ram(depth, width, granularity):
    rows = RamRows(depth=depth, width=width, granularity=granularity)
    return RamModule(module=rows.name, depth=depth, width=width, granularity=granularity)


def verilog(one):
    """Return the module that is generated for a memory."""
    return to_verilog(
        lambda: RamRows(depth=one.depth, width=one.width, granularity=one.granularity), one.module
    ).text


def check_equal(directory, one, text):
    """Prove that a module is as the generated one within a few cycles from zeros on.

    Raises
    ------
    InputError
        They can differ, or what the module asserts can be wrong.
    """
    check(directory, one, {"plain": verilog(one), "other": text})


def check_asserts(directory, one, text):
    """Prove what a module asserts within a few cycles from zeros on.

    Raises
    ------
    InputError
        It can be wrong.
    """
    check(directory, one, {"other": text})


def check(directory, one, texts):
    """Prove that modules are equal, if there are two, and what they assert."""
    known = f"  always @* begin assume (read__addr < {one.depth});"
    known += f" assume (write__addr < {one.depth}); end\n"
    commands = []
    for name, text in texts.items():
        head, body = re.split(rf"(?<=module {one.module})", text)
        body = body.replace("endmodule", f"{known}endmodule", 1)
        (directory / f"{name}.v").write_text(head + body)
        commands += [
            *(f"read_verilog -formal {name}.v", f"hierarchy -top {one.module}", "proc"),
            *("chformal -lower", "memory", "flatten", "opt_clean", f"rename {one.module} {name}"),
            f"design -stash {name}",
        ]
    equal = "-prove trigger 0" if len(texts) > 1 else ""
    top = "both" if len(texts) > 1 else "other"
    options = "-set-assumes -set-init-zero -tempinduct-baseonly -maxsteps 6"
    run_yosys(
        [
            *commands,
            *(f"design -copy-from {name} -as {name} {name}" for name in texts),
            *(["miter -equiv -flatten -make_outputs plain other both"] if len(texts) > 1 else []),
            f"hierarchy -top {top}",
            f"sat -verify {equal} -prove-asserts -seq 1 {options} {top}",
        ],
        directory,
    )


@pytest.mark.parametrize(("depth", "width", "granularity"), SIZES)
def test_subarrays_are_as_the_rows_that_they_stand_for(depth, width, granularity, tmp_path):
    one = ram(depth, width, granularity)
    text = subarrays_text("top", "digest", [one], rows=2)
    assert text.count("gscn_subarray_2x") == (-(-depth // 2) + 1 if depth > 2 else 0)
    check_equal(tmp_path, one, text)


def test_a_wrong_choice_of_a_subarray_is_found(tmp_path):
    one = ram(7, 2, 2)
    text = subarrays_text("top", "digest", [one], rows=2)
    for good, bad in (
        ("if (read__en) shows <= reads", "shows <= reads"),
        ("writes == 1", "writes == 2"),
        ("shows == 0 ? found0", "shows == 0 ? found1"),
    ):
        assert good in text
        with pytest.raises(InputError, match="proof did fail"):
            check_equal(tmp_path, one, text.replace(good, bad))


@pytest.mark.parametrize(("depth", "width", "granularity"), [(576, 48, 48), (4096, 12, 12)])
def test_a_block_ram_of_an_fpga_has_nothing_around_it(depth, width, granularity, tmp_path):
    one = ram(depth, width, granularity)
    (tmp_path / "ram.v").write_text(verilog(one))
    run_yosys(
        [
            *("read_verilog ram.v", f"synth_ecp5 -top {one.module}"),
            "tee -q -o count.json stat -json",
        ],
        tmp_path,
    )
    cells = parse_statistics((tmp_path / "count.json").read_text()).total_cells(one.module)
    assert set(cells) - {"$scopeinfo"} == {"DP16KD"}


def test_modules_of_memories_are_those_of_the_verilog():
    text = array_verilog(TINY, Kind.ARRAY).text
    found = ram_modules(text)
    assert ram(TINY.acc_depth // TINY.drain_width, TINY.acc_width, TINY.acc_width) in found
    instances = set(re.findall(r"^  (gscn_ram_\S+) ", text, re.M))
    assert {one.module for one in found} == instances
    without = guarded(text)
    assert without.count(f"`ifndef {MACROS}\nmodule gscn_ram_") == len(found)
    assert without.replace(f"`ifndef {MACROS}\n", "").replace("`endif\n", "") == text


def test_parts_of_rows_are_told_apart():
    one = ram(8, 64, 16)
    assert one.module == "gscn_ram_8x64_by_16"
    assert ram_modules(verilog(one)) == (one,)


def test_the_files_say_what_memories_there_are(tmp_path):
    manifest = generate(TINY, tmp_path)
    assert manifest.rams == ram_modules(manifest.verilog.read_text())
    assert load_manifest(tmp_path) == manifest
    for file in (SUBARRAYS_FILE, SECDED_FILE):
        text = (tmp_path / file).read_text()
        modules = set(re.findall(r"^module (\w+)", text, re.M))
        assert {one.module for one in manifest.rams} <= modules
        assert TINY.digest() in text
