"""Images of passes: linked with the C driver, loaded to any address, run and compared."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.command.main import main
from gscn.driver.image import EXPECTED_FILE, IMAGE_FILE, LIST_FILE, TEXT_FILE, image_files
from gscn.driver.list_image import join_passes
from gscn.emulator.passes import run_passes
from gscn.errors import InputError
from gscn.pass_errors import PassError
from tests.driver.c_driver import (
    CDriver,
    ResultError,
    c_image,
    compile_c,
    differences,
    write_sources,
)
from tests.driver.layers import CONFIG, layer_passes
from tests.driver.register_model import RegisterModel

CONV = ("--conv", "1,3,6,5,4,3,3", "--padding", "1", "--config", "tiny")
PROGRAM = """\
#include <stdio.h>
#include "gscn_image.h"

int main(void)
{
    uint64_t from = 0;
    printf("%llx %llx %llu %llu %u", (unsigned long long)gscn_image.digest,
           (unsigned long long)gscn_image.base, (unsigned long long)gscn_image.size,
           (unsigned long long)gscn_image.memory_bytes, gscn_image.pass_count);
    for (uint64_t n = 0; n < gscn_image.size; n++)
        putchar(gscn_image.bytes[n]);
    for (uint32_t n = 0; n < gscn_image.output_count; n++)
        for (uint64_t at = 0; at < gscn_image.outputs[n].bytes; at++)
            putchar(gscn_image.expected[from++]);
    return 0;
}
"""


@pytest.fixture(scope="module")
def passes():
    """All passes of a layer as one list, and all right results."""
    images, right = layer_passes(), []
    for one in images:
        ran = run_passes(CONFIG, one.image, 0, one.descriptor_count, one.memory_bytes)
        right += [ran.memory[low:high].tobytes() for low, high in one.output_ranges]
    return join_passes(images), b"".join(right)


@pytest.mark.parametrize("made_for", [0, 1 << 20])
@pytest.mark.parametrize("base", [0, 4096 + 64])
def test_an_image_is_loaded_run_and_compared(passes, made_for, base):
    image, expected = passes
    made, _kept = c_image(image, expected, base=made_for)
    array = RegisterModel(CONFIG, 1 << 16)
    driver = CDriver(array, told=array.told)
    array.memory[:] = 0xA5
    driver.load(made, array.memory, base)
    end = base + image.memory_bytes
    assert np.all(array.memory[:base] == 0xA5)
    assert np.all(array.memory[end:] == 0xA5)
    assert differences(made, array.memory, base)[0] > 0
    array.told.clear()
    assert driver.run(made, base).error is PassError.NONE
    region = (base, image.memory_bytes)
    assert array.told == [
        ("clean", *region),
        ("invalidate", *region),
        "barrier",
        "start",
        "barrier",
        ("invalidate", *region),
    ]
    assert differences(made, array.memory, base)[0] == 0
    assert np.all(array.memory[end:] == 0xA5)
    low, high = image.output_ranges[1]
    for place in (low, high - 1):
        array.memory[base + place] ^= 0x10
        assert differences(made, array.memory, base) == (1, place)
        array.memory[base + place] ^= 0x10
    assert array.wrong == []


def test_the_list_as_text_has_the_numbers_of_the_json(passes):
    files = image_files(passes[0], 4096, passes[1])
    listing = json.loads(files[LIST_FILE])
    head, *results = [line.split() for line in files[TEXT_FILE].splitlines()]
    assert [int(word, 16) for word in head[:2]] == [int(listing["config_digest"], 16), 4096]
    sizes = [listing[name] for name in ("bytes", "memory_bytes", "pass_count")]
    assert [int(word) for word in head[2:]] == [*sizes, len(listing["outputs"])]
    assert [(int(addr, 16), int(size)) for addr, size in results] == [
        (one["address"], one["bytes"]) for one in listing["outputs"]
    ]


def test_an_image_for_another_array_or_place_is_not_loaded(passes):
    image, expected = passes
    made, _kept = c_image(image, expected)
    array = RegisterModel(CONFIG, 1 << 16)
    driver = CDriver(array)
    before = array.memory.copy()
    with pytest.raises(ResultError, match="ARGUMENT"):
        driver.load(made, array.memory, 32)
    with pytest.raises(ResultError, match="ARGUMENT"):
        driver.load(made, array.memory, (1 << CONFIG.addr_width) - 64)
    made.digest ^= 1
    with pytest.raises(ResultError, match="OTHER_CONFIGURATION"):
        driver.load(made, array.memory, 0)
    assert np.array_equal(array.memory, before)


def test_the_driver_needs_no_library(tmp_path):
    """A compiler may make a call of a loop that copies or clears; of no other function."""
    for source in write_sources(tmp_path):
        compile_c("-c", source, "-o", source.with_suffix(".o"))
    linked = tmp_path / "driver.o"
    objects = sorted(tmp_path.glob("*.o"))
    compile_c("-r", "-nostdlib", "-o", linked, *objects)
    listed = subprocess.run(
        ["nm", "--undefined-only", linked], capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(listed) <= {"U", "memcpy", "memset", "memmove"}


def test_what_is_linked_is_what_is_in_the_files(passes, tmp_path):
    image, expected = passes
    base = 0x8000_0000
    files = image_files(image, base, expected)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    write_sources(tmp_path)
    (tmp_path / "main.c").write_text(PROGRAM)
    program = tmp_path / "main"
    compile_c(
        *("-Wa,-I", f"-Wa,{tmp_path}", "-I", tmp_path, "-o", program),
        *(tmp_path / name for name in ("main.c", "gscn_image.c", "gscn_image.S")),
    )
    said = subprocess.run([program], capture_output=True, check=True).stdout
    numbers = f"{CONFIG.digest().lstrip('0')} {base:x} {image.content.size} {image.memory_bytes} "
    numbers += f"{image.pass_count}"
    assert said == numbers.encode() + image.at(base).tobytes() + expected
    listing = json.loads(files[LIST_FILE])
    assert sum(one["bytes"] for one in listing["outputs"]) == len(expected)
    assert listing["outputs"][0]["address"] == base + image.output_ranges[0][0]


def test_the_command_writes_an_image_that_runs(tmp_path, capsys):
    base = 0x1C0
    assert main(["image", *CONV, "--base", hex(base), "--out", str(tmp_path)]) == 0
    assert "descriptors of 3 passes" in capsys.readouterr().out
    listing = json.loads((tmp_path / LIST_FILE).read_text())
    content = np.fromfile(tmp_path / IMAGE_FILE, dtype=np.uint8)
    memory = np.zeros(base + listing["memory_bytes"], dtype=np.uint8)
    memory[base : base + content.size] = content
    ran = run_passes(CONFIG, memory, listing["passes_addr"], listing["pass_count"], memory.size)
    assert ran.error is PassError.NONE
    results = [
        ran.memory[one["address"] : one["address"] + one["bytes"]].tobytes()
        for one in listing["outputs"]
    ]
    assert b"".join(results) == (tmp_path / EXPECTED_FILE).read_bytes()


@pytest.mark.parametrize("base", ["32", "0x100000000", "99999999999999999999", "-64", "0x", "1e3"])
def test_a_base_that_cannot_be_leaves_no_file(base, tmp_path, capsys):
    out = tmp_path / "out"
    try:
        status = main(["image", *CONV, "--base", base, "--out", str(out)])
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert "base" in capsys.readouterr().err
    assert not out.exists()


def test_passes_of_several_arrays_are_no_list():
    with pytest.raises(InputError, match="one configuration"):
        join_passes([*layer_passes(), *layer_passes(ARRAYS["small"])])
    with pytest.raises(InputError, match="at least one"):
        join_passes([])
