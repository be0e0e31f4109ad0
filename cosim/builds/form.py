"""What is built of a configuration: array or machine, behind AXI or not, with waves or without."""

from __future__ import annotations

from typing import NamedTuple

from gscn.array import ArrayConfig
from gscn.cosim.builds import coverage
from gscn.cosim.builds.toolchain import COMPILER, SAFE_FLAGS, compiler
from gscn.cosim.simulation import TESTBENCH_MODULE
from gscn.port import port_names

RUNTIME_SOURCES = ("memory.h", "memory.cpp", "lifeline.cpp")
"""Files of every testbench that say nothing of a design."""
_COMMON = ("testbench.vlt", *RUNTIME_SOURCES)
COMMON_FLAGS = (
    *("--cc", "--build-jobs", "1", "--timescale", "1ns/1ps", "-CFLAGS", SAFE_FLAGS),
    # Generated Verilog is full of harmless width warnings.
    *("-Wno-fatal", "-Wno-WIDTH", "-Wno-CASEINCOMPLETE"),
)

# Of the clusters' model. Tables in place of logic would only take room in the processor's caches.
CLUSTER_FLAGS = (*COMMON_FLAGS, "--no-timing", "-fno-table")

MACHINE_FLAGS = ("-fno-dfg-peephole",)
"""Of models with an encode unit. That pass of Verilator looks at all readers of a signal again for
each that it simplifies: with the unit's buffers it takes minutes, and all else half a minute."""


class Form(NamedTuple):
    """What is built of a configuration."""

    waves: str
    """Format of the waves that it can write, `vcd` or `fst`; empty for none."""
    axi: bool
    """Whether the core is behind AXI4 and AXI4-Lite."""
    lists: bool
    """Whether it is the machine, which runs lists of both kinds of passes."""

    @property
    def folder(self) -> str:
        """Name of the folder of its Verilog."""
        return {
            (False, False): "rtl", (True, False): "axi",
            (False, True): "lists", (True, True): "lists-axi",
        }[self.axi, self.lists]  # fmt: skip

    @property
    def sources(self) -> tuple[str, ...]:
        """Files of the testbench."""
        own = ("axi.cpp", "testbench_axi.sv") if self.axi else ("core.cpp", "testbench.sv")
        return (*_COMMON, *own)

    def ports_text(self, config: ArrayConfig) -> str:
        """Return the lines by which the testbench connects each memory port."""
        names = port_names("m_axi" if self.axi else "mem", config.ports)
        return "".join(f"`GSCN_PORT({name}, {number})\n" for number, name in enumerate(names))

    def verilator_flags(self, config: ArrayConfig, libraries: str = "") -> list[str]:
        """Return Verilator's options; `libraries`, where cocotb's are, makes no other program."""
        # What g++ has built in, clang takes from a library.
        linked = "-lcocotbvpi_verilator" + (" -latomic" if compiler() != COMPILER else "")
        return [
            *COMMON_FLAGS,
            "--exe",
            *("--top-module", TESTBENCH_MODULE),
            *("--prefix", "Vtop"),  # the name that cocotb's main program includes
            *("-o", TESTBENCH_MODULE),
            "--vpi",
            "--no-public-flat-rw",
            "--timing",
            *("-CFLAGS", "-std=c++20"),  # for --timing
            # Python finds the functions of memory.cpp in the program itself. The program finds
            # cocotb's libraries by `cosim.simulation.simulator_environment`.
            *("-LDFLAGS", f"-rdynamic -L{libraries} {linked}"),
            f"-GPORTS={config.ports}",
            f"-GADDR_WIDTH={config.addr_width}",
            f"-GMEM_WIDTH={config.mem_width}",
            *([f"-GID_WIDTH={config.axi_id_width}"] if self.axi else []),
            *(["+define+GSCN_LISTS", *MACHINE_FLAGS] if self.lists else []),
            *([f"--trace-{self.waves}"] if self.waves else []),
            *coverage.flags(),
        ]
