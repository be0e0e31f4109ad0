"""Drivers: `GSCN` behind its registers, from C and from Python.

`gscn_driver.h` and `gscn_driver.c` are freestanding C11; `gscn generate --axi` writes them beside
the Verilog. `Driver` does the same from Python, over whatever reaches the registers.
"""

from gscn.driver.client import Driver, Outcome, Transport
from gscn.driver.sources import DRIVER_HEADER, DRIVER_SOURCE, PASSES_HEADER, PASSES_SOURCE, c_files

__all__ = [
    "DRIVER_HEADER",
    "DRIVER_SOURCE",
    "PASSES_HEADER",
    "PASSES_SOURCE",
    "Driver",
    "Outcome",
    "Transport",
    "c_files",
]
