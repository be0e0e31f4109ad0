"""A LiteX system with the machine on its bus: RISC-V with caches, memory, UART, registers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from litex.build.generic_platform import GenericPlatform
from litex.soc.integration.export import get_csr_header, get_mem_header, get_soc_header
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCCore
from litex.soc.interconnect import axi
from migen import ClockSignal, Instance, ResetSignal, Signal

from gscn.rtl_gen import Manifest

REGISTERS = 0x9000_0000
"""Of the machine; addresses from 0x80000000 on pass by the processor's caches."""
REGISTER_BYTES = 0x1000
SRAM_BYTES = 0x2000
"""The stack and what the firmware keeps."""
PORT = re.compile(r"(?P<bus>m_axi\d*|s_axil)_(?P<channel>aw|ar|w|r|b)(?P<signal>[a-z]+)")


_BANNER = re.compile(r"^//.*\n", re.MULTILINE)
"""Of comments, which have the date."""


ROM_FILE = "system_rom.init"
"""What the Verilog reads for the firmware: `compiling.memory_file`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """A system as text."""

    verilog: str
    files: tuple[Path, ...]
    """Verilog of processor and machine."""
    headers: dict[str, str]
    """Of the firmware, by name."""
    regions: dict[str, tuple[int, int]]
    """First byte and size of the memories of the firmware."""
    memories: dict[str, str]
    """Files that the Verilog reads, by name, but for the firmware."""
    pads: tuple[tuple[str, list[str], list[object], object], ...]
    """Ports of the Verilog: name, pins, what else the platform says of them."""


class System(SoCCore):
    """A VexRiscv, memory, a UART and the machine on one 32-bit Wishbone bus.

    Each of the machine's memory ports is an AXI4 manager behind LiteX's converters, its registers
    an AXI4-Lite subordinate; its interrupt is one of the processor's.

    Parameters
    ----------
    platform
        Where it is built for: names of the clock's and the UART's pins.
    manifest
        The machine's Verilog.
    clock_hz
        Of the whole system.
    rom_bytes
        Size of the memory of the firmware, from address 0 on.
    ram_bytes
        Size of the memory that the machine and the processor share.
    uart_name
        As of `SoCCore`: `serial` for pins, `sim` for bytes.
    """

    def __init__(
        self,
        platform: GenericPlatform,
        manifest: Manifest,
        *,
        clock_hz: float,
        rom_bytes: int,
        ram_bytes: int,
        uart_name: str,
    ) -> None:
        super().__init__(
            platform,
            clock_hz,
            cpu_type="vexriscv",
            cpu_variant="standard",  # caches of 4 KiB for instructions and data
            integrated_rom_size=rom_bytes,
            integrated_rom_init=[0],  # so that it is read from a file
            integrated_sram_size=SRAM_BYTES,
            integrated_main_ram_size=ram_bytes,
            uart_name=uart_name,
            timer_uptime=True,
        )
        self._add_machine(platform, manifest)

    def _add_machine(self, platform: GenericPlatform, manifest: Manifest) -> None:
        """Connect every port of the machine, by its name."""
        registers = axi.AXILiteInterface(data_width=32, address_width=32)
        buses = {"s_axil": registers}
        wires = {"i_clk": ClockSignal("sys"), "i_rst": ResetSignal("sys")}
        for port in manifest.ports:
            found = PORT.fullmatch(port.name)
            if found is None:
                continue
            bus = buses.get(found["bus"])
            if bus is None:
                bus = buses[found["bus"]] = axi.AXIInterface(
                    data_width=manifest.config.mem_width,
                    address_width=32,
                    id_width=manifest.config.axi_id_width,
                )
            signal = getattr(getattr(bus, found["channel"]), found["signal"])
            # An address of the registers is one within their page.
            wires[f"{port.direction[0]}_{port.name}"] = signal[: port.width]
        self.bus.add_slave(
            "gscn",
            buses.pop("s_axil"),
            SoCRegion(origin=REGISTERS, size=REGISTER_BYTES, cached=False),
        )
        for name, bus in buses.items():
            self.bus.add_master(name, bus)
        self.irq.add("gscn")  # LiteX makes the constant GSCN_INTERRUPT of it
        interrupt = Signal()
        self.comb += self.cpu.interrupt[self.irq.locs["gscn"]].eq(interrupt)
        self.specials += Instance(manifest.module, o_interrupt=interrupt, **wires)
        platform.add_source(str(manifest.verilog))

    def sources(self) -> Sources:
        """Return the system, whose clocks must be there, as text; the top module is `system`."""
        self.finalize()
        made = self.platform.get_verilog(self, name="system")
        headers = {
            "csr.h": get_csr_header(self.csr_regions, self.constants, with_access_functions=False),
            "mem.h": get_mem_header(self.mem_regions),
            "soc.h": get_soc_header(self.constants, with_access_functions=False),
        }
        return Sources(
            verilog=_BANNER.sub("", made.main_source),
            files=tuple(Path(path) for path, *_ in self.platform.sources),
            headers={name: _BANNER.sub("", text) for name, text in headers.items()},
            regions={
                name.upper(): (region.origin, region.size)
                for name, region in self.mem_regions.items()
                if name in ("rom", "sram")
            },
            memories={name: text for name, text in made.data_files.items() if name != ROM_FILE},
            pads=tuple(self.platform.resolve_signals(made.ns)[0]),
        )
