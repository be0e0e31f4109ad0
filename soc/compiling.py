"""Firmware: compiled for the system's processor, as words of its ROM."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from gscn.errors import InputError
from gscn.system.supervision import run_supervised

COMPILER = "riscv64-unknown-elf-gcc"
OBJCOPY = "riscv64-unknown-elf-objcopy"
FLAGS = (
    *("-march=rv32im_zicsr", "-mabi=ilp32", "-std=c11", "-O2", "-g", "-ffreestanding"),
    *("-Wall", "-Wextra", "-Werror", "-ffunction-sections"),
    # Loops of memcpy and memset must not become calls of themselves.
    "-fno-tree-loop-distribute-patterns",
)
SOURCES = Path(__file__).with_name("firmware")
WORD_BYTES = 4


def check_compiler() -> None:
    """Raise `InputError` if there is no compiler for the processor."""
    for name in (COMPILER, OBJCOPY):
        if shutil.which(name) is None:
            raise InputError(
                f"the firmware needs the program {name}, which is not installed "
                "(Debian: apt-get install gcc-riscv64-unknown-elf)"
            )


def compile_firmware(
    sources: Sequence[Path],
    folders: Sequence[Path],
    regions: Mapping[str, tuple[int, int]],
    out: Path,
) -> list[int]:
    """Return the firmware as words of 32 bits, from the ROM's first byte on.

    Parameters
    ----------
    sources
        C and assembly besides the firmware's own.
    folders
        Of headers, and of files that assembly includes.
    regions
        First byte and size of the memories `ROM` and `SRAM`.
    out
        Folder of the program, with symbols for a debugger.

    Raises
    ------
    InputError
        There is no compiler, or it refuses a source.
    """
    check_compiler()
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    symbols = {
        f"{name}_{what}": value
        for name, region in regions.items()
        for what, value in zip(("BASE", "SIZE"), region, strict=True)
    }
    own = sorted(path for path in SOURCES.iterdir() if path.suffix in (".c", ".S"))
    program, content = out / "firmware.elf", out / "firmware.bin"
    _call(
        [
            *(COMPILER, *FLAGS, "-nostdlib", "-Wl,--gc-sections"),
            *(f"-Wl,--defsym={name}={value:#x}" for name, value in symbols.items()),
            *("-T", str(SOURCES / "link.ld")),
            *(
                part
                for folder in (SOURCES, *folders)
                for part in (f"-I{folder}", f"-Wa,-I{folder}")
            ),
            *map(str, (*own, *sources)),
            *("-lgcc", "-o", str(program)),
        ],
        out,
    )
    _call([OBJCOPY, "-O", "binary", str(program), str(content)], out)
    binary = content.read_bytes()
    binary += bytes(-len(binary) % WORD_BYTES)
    return [
        int.from_bytes(binary[at : at + WORD_BYTES], "little")
        for at in range(0, len(binary), WORD_BYTES)
    ]


def memory_file(words: Sequence[int]) -> str:
    """Return words of 32 bits as Verilog's `$readmemh` takes them."""
    return "".join(f"{word:08x}\n" for word in words)


def _call(command: list[str], folder: Path) -> None:
    done = run_supervised(command, cwd=folder)
    if done.returncode != 0:
        raise InputError(f"{command[0]} must take the firmware, but says\n{done.stderr[-4000:]}")
