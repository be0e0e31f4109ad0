"""The version of the package, which core file, register description and Verilog name as theirs."""

VERSION = "0.1.0"
"""Of everything in this repository; `pyproject.toml` and all that `gscn generate` writes have it
from here. The map of the registers has a version of its own (`gscn.registers.VERSION_VALUE`), which
software asks for, and the configuration a digest."""
