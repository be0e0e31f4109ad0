"""The system on a board: Radiona's ULX3S with an LFE5U-85F, down to its bitstream.

`python -m soc.board`; needs what `make soc` and `make synth` install, and the firmware's compiler.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from litex.build.generic_platform import IOStandard, Pins, Subsignal
from litex.build.io import CRG
from litex.build.lattice import LatticePlatform
from migen import Signal

from gscn.array import array
from gscn.errors import InputError
from gscn.rtl_gen import Manifest, generate_axi
from gscn.rtl_gen.place import PACKER, SEED, nextpnr_path, parse_report
from gscn.rtl_gen.yosys import parse_statistics, run_yosys
from gscn.system.files import write_files
from gscn.system.supervision import run_supervised
from soc.hardware import ROM_FILE, Sources, System
from soc.run import CONFIG, firmware

CLOCK_HZ = 25e6
"""Of the board's oscillator, which is the system's clock."""
DEVICE = "LFE5U-85F-6BG381C"
PLACER = ("--85k", "--package", "CABGA381", "--speed", "6")
ROM_BYTES = 1 << 16
RAM_BYTES = 1 << 16
"""Block memory; the board's own is dynamic, and needs a controller (LiteDRAM)."""
PADS = [
    ("clk25", 0, Pins("G2"), IOStandard("LVCMOS33")),
    # Pressed it is high.
    ("button", 0, Pins("R1"), IOStandard("LVCMOS33")),
    (
        *("serial", 0),
        Subsignal("tx", Pins("L4")),
        Subsignal("rx", Pins("M1")),
        IOStandard("LVCMOS33"),
    ),
]
"""Of the board, by its schematic: oscillator, button FIRE 1, which resets, and the serial port."""
CELLS = ("LUT4", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4", "DP16KD", "MULT18X18D")


def board_system(manifest: Manifest) -> tuple[Sources, str]:
    """Return the system for the board, and the constraints of its pins as nextpnr takes them."""
    platform = LatticePlatform(DEVICE, PADS, toolchain="trellis")
    system = System(
        platform,
        manifest,
        clock_hz=CLOCK_HZ,
        rom_bytes=ROM_BYTES,
        ram_bytes=RAM_BYTES,
        uart_name="serial",
    )
    reset = Signal()
    system.comb += reset.eq(platform.request("button"))
    system.submodules.crg = CRG(platform.request("clk25"), reset)
    sources = system.sources()
    lines = [f'FREQUENCY PORT "clk25" {CLOCK_HZ / 1e6:g} MHZ;']
    for name, pins, others, _ in sources.pads:
        lines.append(f'LOCATE COMP "{name}" SITE "{pins[0]}";')
        lines += [
            f'IOBUF PORT "{name}" IO_TYPE={one.name};'
            for one in others
            if isinstance(one, IOStandard)
        ]
    return sources, "\n".join(lines) + "\n"


def synthesise(sources: Sources, out: Path) -> dict[str, int]:
    """Write `netlist.json`; return the number of cells of each kind."""
    write_files({out / "system.v": sources.verilog})
    files = [str(path.resolve()) for path in sources.files]
    run_yosys(
        [
            f"read_verilog system.v {' '.join(files)}",
            "synth_ecp5 -top system -json netlist.json",
            "tee -q -o count.json stat -json",
        ],
        out,
    )
    counted = parse_statistics((out / "count.json").read_text(encoding="utf-8"))
    return counted.total_cells("system")


def place(out: Path) -> dict[str, object]:
    """Place and route `netlist.json`; return nextpnr's report.

    Raises
    ------
    InputError
        nextpnr is not installed, or the system does not fit.
    """
    done = run_supervised(
        [
            *(nextpnr_path(), *PLACER, "--lpf", "pins.lpf", "--seed", str(SEED)),
            *("--json", "netlist.json", "--textcfg", "board.config"),
            *("--report", "report.json", "--timing-allow-fail"),
        ],
        cwd=out,
    )
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().rpartition("\n")[2]
        raise InputError(f"nextpnr must place the system, but ended with {last!r}")
    return json.loads((out / "report.json").read_text(encoding="utf-8"))


def pack(out: Path) -> int:
    """Write the bitstream `board.bit` of what was placed; return its bytes.

    Raises
    ------
    InputError
        `PACKER` is not installed, or does not take it.
    """
    done = run_supervised(
        [nextpnr_path(PACKER), "--compress", "board.config", "board.bit"], cwd=out
    )
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().rpartition("\n")[2]
        raise InputError(f"ecppack must pack the system, but ended with {last!r}")
    return (out / "board.bit").stat().st_size


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m soc.board",
        description="Make a bitstream for the ULX3S of a system with the array.",
    )
    parser.add_argument("--out", type=Path, default=Path("build/soc/board"), help="folder")
    out = parser.parse_args(arguments).out
    logging.disable(logging.INFO)  # LiteX's
    try:
        manifest = generate_axi(array(CONFIG), out / "verilog")
        sources, pins = board_system(manifest)
        rom, _ = firmware(sources, manifest, out, ())
        write_files(
            {
                **{out / name: text for name, text in sources.memories.items()},
                out / ROM_FILE: rom,
                out / "pins.lpf": pins,
            }
        )
        cells = synthesise(sources, out)
        print(", ".join(f"{kind} {cells.get(kind, 0)}" for kind in CELLS), flush=True)
        report = place(out)
        for kind, one in report["utilization"].items():
            if one["used"]:
                print(f"{kind}: {one['used']} of {one['available']}")
        placed = parse_report(json.dumps(report))
        print(f"{placed.frequency_mhz:.1f} MHz, {placed.path_from} to {placed.path_to}", flush=True)
        print(f"{out / 'board.bit'}: {pack(out)} bytes")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
