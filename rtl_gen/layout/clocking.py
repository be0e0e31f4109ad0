"""Whether a netlist can be scanned and its clock be gated: what its registers are, by Yosys.

Scan chains need registers that the clock at the pin can shift: no latches, no clock that logic
makes, none but one edge of one clock, no asynchronous set or reset, and no loops of logic.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gscn.errors import InputError
from gscn.rtl_gen.clock_gates import LEAST_GATED
from gscn.rtl_gen.synthesis import FLAT_WORD_LEVEL
from gscn.rtl_gen.yosys import run_yosys
from gscn.system.cache import temporary_folder

CLOCK = "clk"
"""The clock's port, of every component."""

_PLAIN = ("$dff", "$dffe", "$sdff", "$sdffe", "$sdffce")
"""Yosys' registers of one clock edge, without asynchronous inputs."""
_OTHERS = re.compile(r"\$(a|al)?(dff|dlatch)(sr)?e?|\$sr|\$ff")
_LOOP = re.compile(r"^Warning: found logic loop in module (\S+):", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clocking:
    """Flip-flops of a netlist, all of which are on one edge of one clock."""

    flip_flops: int
    """Those that anything depends on."""
    enabled: int
    """Those that keep their value unless an enable is high."""
    gateable: int
    """Those of enables that `LEAST_GATED` flip-flops or more share."""
    gates: int
    """Such enables: clock gates that would do for them."""

    @property
    def share(self) -> float:
        """Part of all flip-flops whose clock can be gated; 0 if there are none."""
        return self.gateable / self.flip_flops if self.flip_flops else 0.0


def read_clocking(text: str, top: str, clock: str = CLOCK) -> Clocking:
    """Count the flip-flops of a flattened netlist, and see to it that they can be scanned.

    Parameters
    ----------
    text
        What `write_json` wrote after `FLAT_WORD_LEVEL`.
    top
        Name of the module.
    clock
        Port that has its clock.

    Raises
    ------
    InputError
        The text is no such netlist, or has a latch, a register with an asynchronous input, or one
        or a memory that is not on the rising edge of that clock.
    """
    try:
        module = json.loads(text)["modules"][top]
        ports, cells = module["ports"], module["cells"]
        edge = ports[clock]["bits"] if clock in ports else None
        wrong = [
            f"{name} ({cell['type']})"
            for name, cell in cells.items()
            if _is_wrong(cell, None if edge is None else edge[0])
        ]
        registers = [cell for cell in cells.values() if cell["type"] in _PLAIN]
        # A bit that is at no other pin and no port is gone when gates are made.
        seen = Counter(
            bit
            for pins in (*(cell["connections"] for cell in cells.values()), _port_bits(ports))
            for bits in pins.values()
            for bit in bits
        )
        widths = [sum(seen[bit] > 1 for bit in cell["connections"]["Q"]) for cell in registers]
        enables = Counter[Any]()
        for cell, width in zip(registers, widths, strict=True):
            if "EN" in cell["connections"]:
                polarity = cell["parameters"]["EN_POLARITY"][-1]
                enables[cell["connections"]["EN"][0], polarity] += width
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"netlist must be what `write_json` writes: {error!r}") from error
    if wrong:
        raise InputError(
            f"registers must be flip-flops on the rising edge of {clock}, without asynchronous "
            f"inputs, not {', '.join(wrong)}"
        )
    large = [count for count in enables.values() if count >= LEAST_GATED]
    return Clocking(
        flip_flops=sum(widths), enabled=enables.total(), gateable=sum(large), gates=len(large)
    )


def _port_bits(ports: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: port["bits"] for name, port in ports.items()}


def _is_wrong(cell: Mapping[str, Any], clock: object) -> bool:
    """Return whether a cell is a register, or a memory, of another kind or clock."""
    parameters, pins = cell["parameters"], cell["connections"]
    if cell["type"] in _PLAIN:
        return pins["CLK"][0] != clock or parameters["CLK_POLARITY"][-1] != "1"
    if cell["type"] == "$mem_v2":
        return any(one != (clock, "1") for one in _memory_clocks(parameters, pins))
    return _OTHERS.fullmatch(cell["type"]) is not None


def _memory_clocks(
    parameters: Mapping[str, str], pins: Mapping[str, Sequence[object]]
) -> Iterator[tuple[object, str]]:
    """Yield clock and edge of every port of a memory that has a clock; a write without has "0"."""
    for kind in ("RD", "WR"):
        count = int(parameters[f"{kind}_PORTS"], 2)
        enables, edges = (parameters[f"{kind}_CLK_{what}"][::-1] for what in ("ENABLE", "POLARITY"))
        for port in range(count):
            if enables[port] == "1":
                yield pins[f"{kind}_CLK"][port], edges[port]
            elif kind == "WR":
                yield None, "0"


def check_loops(log: str) -> None:
    """Raise `InputError` if Yosys' `check` has found a loop of logic, by its log."""
    if found := _LOOP.findall(log):
        raise InputError(f"logic must have no loops, but {', '.join(found)} has {len(found)}")


def measure_clocking(verilog: str, top: str, clock: str = CLOCK) -> Clocking:
    """Count the flip-flops of a module, flattened, and see to it that they can be scanned.

    Parameters
    ----------
    verilog
        Verilog text.
    top
        Name of the module.
    clock
        Port that has its clock.

    Raises
    ------
    InputError
        As of `read_clocking`; logic has a loop; or Yosys is missing or takes no such Verilog.
    """
    with temporary_folder("gscn-clocking-") as directory:
        return read_clocking(flat_words(verilog, top, directory), top, clock)


def flat_words(verilog: str, top: str, directory: Path) -> str:
    """Flatten a module to words, `words.il`, and return them as `write_json` writes them.

    Parameters
    ----------
    verilog
        Verilog text.
    top
        Name of the module.
    directory
        For files.

    Raises
    ------
    InputError
        Logic has a loop; or Yosys is missing or takes no such Verilog.
    """
    (directory / "design.v").write_text(verilog, encoding="utf-8")
    log = run_yosys(
        [
            "read_verilog design.v",
            f"hierarchy -check -top {top}",
            *FLAT_WORD_LEVEL,
            "check",
            "write_json words.json",
            "write_rtlil words.il",
        ],
        directory,
    )
    check_loops(log)
    return (directory / "words.json").read_text(encoding="utf-8")
