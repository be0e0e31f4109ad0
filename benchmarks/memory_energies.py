"""Energies of memories by CACTI, for `perf.estimate.memory_energies`.

`python -m benchmarks.memory_energies --cacti FOLDER` runs the program `cacti` that a folder of
CACTI 7 (github.com/HewlettPackard/cacti, made by `make`) holds, for each size of the table, and
writes perf/estimate/memory_energies.json. CACTI is not needed otherwise.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gscn.errors import InputError
from gscn.system.files import write_files
from gscn.system.supervision import run_supervised

TARGET = Path(__file__).parents[1] / "perf" / "estimate" / "memory_energies.json"
SMALL_ROWS, SMALL_BITS = (32, 64), (16, 24, 32, 40, 48, 56, 64)
LARGE_KIB = (64, 256, 1024, 4096, 16384)
LARGE_BITS = 64
_PARTS = "delay, dynamic power, leakage power, cycle time, area"
_SETTINGS = {
    "technology (u)": "0.045",
    "associativity": "1",
    "cache type": '"ram"',
    "Add ECC -": '"false"',
    "Data array cell type -": '"itrs-hp"',
    "Data array peripheral type -": '"itrs-hp"',
    "Tag array cell type -": '"itrs-hp"',
    "Tag array peripheral type -": '"itrs-hp"',
    # of the organisations that are nearly as fast as the fastest, the one of the least energy
    "Optimize ED or ED^2 (ED, ED^2, NONE):": '"NONE"',
    f"design objective (weight {_PARTS})": "0:100:0:0:0",
    f"deviate ({_PARTS})": "20:100000:100000:100000:100000",
}
_WANTED = {
    "read": r"Total dynamic read energy per access \(nJ\): (\S+)",
    "write": r"Total dynamic write energy per access \(nJ\): (\S+)",
    "area": r"Data array: Area \(mm2\): (\S+)",
}
_VERSION = r"CACTI \(version ([^)]*)\)"


def settings(rows: int, bits: int, *, ports: tuple[int, int, int]) -> dict[str, str]:
    """Return what a configuration of CACTI is to say; ports for both, to read, to write."""
    both, reads, writes = ports
    return {
        **_SETTINGS,
        "size (bytes)": str(rows * bits // 8),
        "block size (bytes)": str(bits // 8),
        "output/input bus width": str(bits),
        "read-write port": str(both),
        "exclusive read port": str(reads),
        "exclusive write port": str(writes),
    }


def configured(example: str, changes: dict[str, str]) -> str:
    """Return a configuration of CACTI with other settings.

    Raises
    ------
    InputError
        The example has no line for one of them.
    """
    for name, value in changes.items():
        line = re.compile(rf"^-{re.escape(name)}.*$", re.MULTILINE)
        if not line.search(example):
            raise InputError(f"the example of CACTI's configuration must set {name!r}")
        example = line.sub(lambda _, text=f"-{name} {value}": text, example, count=1)
    return example


def _told(what: str, pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise InputError(f"CACTI must tell {what}, but wrote: {text[-200:]!r}")
    return match[1]


def found(text: str) -> dict[str, float]:
    """Return picojoules and square millimetres from what CACTI wrote.

    Raises
    ------
    InputError
        It found no memory.
    """
    return {
        name: float(_told(f"a memory's {name}", pattern, text)) * (1 if name == "area" else 1e3)
        for name, pattern in _WANTED.items()
    }


def run(folder: Path, example: str, changes: dict[str, str]) -> str:
    """Return what CACTI writes with other settings than those of an example."""
    with tempfile.TemporaryDirectory() as temporary:
        config = Path(temporary) / "memory.cfg"
        config.write_text(configured(example, changes))
        ended = run_supervised([str(folder / "cacti"), "-infile", str(config)], cwd=folder)
        return ended.stdout + ended.stderr


def table(folder: Path) -> dict[str, object]:
    """Return the content of the file of energies.

    Parameters
    ----------
    folder
        CACTI's, with its program and the example of a configuration, `cache.cfg`.
    """
    example = (folder / "cache.cfg").read_text()
    sizes = {
        "small": [(rows, bits, (0, 1, 1)) for rows in SMALL_ROWS for bits in SMALL_BITS],
        "large": [((kib << 13) // LARGE_BITS, LARGE_BITS, (1, 0, 0)) for kib in LARGE_KIB],
    }
    content: dict[str, object] = {}
    version = ""
    for kind, of_kind in sizes.items():
        rows_of_kind = []
        for rows, bits, ports in of_kind:
            text = run(folder, example, settings(rows, bits, ports=ports))
            values = found(text)
            version = _told("its version", _VERSION, text)
            rows_of_kind.append([rows, bits, *(round(values[name], 6) for name in _WANTED)])
        content[kind] = rows_of_kind
    source = f"CACTI {version}, 45 nm, itrs-hp, 360 K, at most 20 % slower than the fastest"
    return {"source": source, "columns": ["rows", "bits", *_WANTED], **content}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file of energies."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory_energies", description=__doc__
    )
    parser.add_argument("--cacti", type=Path, required=True, metavar="FOLDER", help="CACTI, made")
    folder = parser.parse_args(arguments).cacti.absolute()
    try:
        content = table(folder)
    except (OSError, InputError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    lines = [f'  "{name}": {json.dumps(content[name])}' for name in ("source", "columns")]
    for kind in ("small", "large"):
        rows = ",\n".join(f"    {json.dumps(row)}" for row in content[kind])
        lines.append(f'  "{kind}": [\n{rows}\n  ]')
    write_files({TARGET: "{\n" + ",\n".join(lines) + "\n}\n"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
