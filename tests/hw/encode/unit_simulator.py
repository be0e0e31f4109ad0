# amaranth: UnusedElaboratable=no
"""The encode unit in Verilator: passes on memory images, one after the other."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gscn.array import array
from gscn.cosim.builds.form import MACHINE_FLAGS
from gscn.cosim.builds.toolchain import Toolchain
from gscn.emulator.encode import run_encode
from gscn.encode import ENCODE_DESCRIPTOR_BYTES
from gscn.hw.encode.unit import EncodeUnit
from gscn.rtl_gen.verilog import to_verilog

INTEGERS = array("small").with_overrides(["drain_width=1"])
CONFIG = INTEGERS.with_overrides(["float_formats=bf16"])
DEPTH = 16
TOP = "encode_unit"
LISTED = (0, ENCODE_DESCRIPTOR_BYTES)
MOST_CYCLES = 60_000
MAIN = Path(__file__).with_name("unit_main.cpp")


class Ran(NamedTuple):
    """What a pass left."""

    error: int
    flags: int
    cycles: int
    hung: int
    outside: int
    """Bursts outside memory: 1 read, 4 written."""
    read: int
    written: int
    """Beats."""
    left: int
    """Beats and answers under way at its end."""
    memory: np.ndarray


def build(folder: Path, config=CONFIG, depth: int = DEPTH) -> Path:
    """Return the program of a unit, made in an empty folder; `depth` as `EncodeUnit` takes it."""
    assert config.mem_width == 512
    verilog = folder / f"{TOP}.v"
    verilog.write_text(to_verilog(lambda: EncodeUnit(config=config, depth=depth), TOP).text)
    tools, objects = Toolchain(folder), folder / "objects"
    objects.mkdir()
    tools.verilate(
        objects,
        [
            *MACHINE_FLAGS,
            "--cc", "--exe", "--top-module", TOP, "-Wno-fatal", "-Wno-lint", "--no-timing",
            *MACHINE_FLAGS, "--output-split", "20000", str(verilog), str(MAIN),
        ],
    )  # fmt: skip
    tools.make(objects, f"V{TOP}.mk", "-O1")
    return objects / f"V{TOP}"


def run(
    program: Path, images: list[np.ndarray], folder: Path, *, latency=8, stalls=0, at_once=False,
    most=MOST_CYCLES,
):  # fmt: skip
    """Return what passes leave of their images, whose records are at their starts.

    `at_once`: beats are written in the cycle of their command, and not one later. `most`: cycles
    after which a pass hangs.
    """
    given, found = folder / "images", folder / "results"
    given.write_bytes(b"".join(struct.pack("<I", one.size) + one.tobytes() for one in images))
    numbers = (latency, stalls, most, int(at_once))
    arguments = [str(given), str(found), *(str(one) for one in numbers)]
    subprocess.run([str(program), *arguments], check=True, timeout=600)
    content, place, results = found.read_bytes(), 0, []
    for image in images:
        head = struct.unpack_from("<8I", content, place)
        place += 32
        after = np.frombuffer(content, dtype=np.uint8, count=image.size, offset=place)
        place += image.size
        results.append(Ran(*head, after))
    assert place == len(content)
    return results


def differences(image: np.ndarray, ran: Ran, config=CONFIG) -> dict[str, object]:
    """Return what differs from the emulator's pass, or nothing."""
    wanted = run_encode(config, image, 0, LISTED)
    found = {
        name: value
        for name, value in (("hung", ran.hung), ("outside", ran.outside), ("left", ran.left))
        if value
    }
    if ran.error != wanted.error:
        found["error"] = (ran.error, wanted.error.name)
    elif not ran.error:
        if ran.flags != wanted.flags:
            found["flags"] = (ran.flags, wanted.flags)
        places = np.flatnonzero(ran.memory != wanted.memory)
        if places.size:
            found["places"] = places.tolist()
    return found
