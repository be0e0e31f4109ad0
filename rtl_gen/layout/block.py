"""A component as cells of a library and wires, as tools that place and route take it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gscn.errors import InputError
from gscn.rtl_gen.layout.clocking import CLOCK, Clocking, flat_words, read_clocking
from gscn.rtl_gen.liberty import check_liberty, map_commands, write_constraints
from gscn.rtl_gen.memories import Memory, memory_of
from gscn.rtl_gen.synthesis import GATE_LEVEL
from gscn.rtl_gen.yosys import run_yosys
from gscn.system.cache import temporary_folder

_SUBMODULE = "macros"
_NO_NAME = re.compile(r"\W+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One cell."""

    kind: str
    pins: Mapping[str, str]
    """Pin to net."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Cells, and the nets that are ports.

    Names of nets are words of letters, digits and _ that begin with a letter; all but the clock's
    have a _, since words without are GrayWolf's own (`signal`).
    """

    gates: tuple[Gate, ...]
    inputs: tuple[str, ...]
    """The clock, the component's inputs that are used, and what its macros put out."""
    outputs: tuple[str, ...]
    """Its outputs and what its macros take; a net that is an input too is left out."""
    macros: tuple[Memory, ...]
    """Memories that are left out; all others are cells."""
    clocking: Clocking
    """Of all its flip-flops."""

    def cells(self) -> Counter[str]:
        """Return how many there are of each kind of cell."""
        return Counter(gate.kind for gate in self.gates)

    def blif(self, name: str) -> str:
        """Return the block as BLIF, a model of that name."""
        lines = [f".model {name}", f".inputs {' '.join(self.inputs)}"]
        lines.append(f".outputs {' '.join(self.outputs)}")
        for gate in self.gates:
            pins = " ".join(f"{pin}={net}" for pin, net in gate.pins.items())
            lines.append(f".gate {gate.kind} {pins}")
        return "\n".join([*lines, ".end", ""])


def make_block(verilog: str, top: str, liberty: Path, clock: str = CLOCK) -> Block:
    """Synthesise a module to cells, flattened; memories that would be macros are left out.

    Parameters
    ----------
    verilog
        Verilog text.
    top
        Name of the module.
    liberty
        Standard cells; every cell that is used has one clock at most.
    clock
        Port that has the module's clock.

    Raises
    ------
    InputError
        A tool or the liberty is missing, the Verilog is not synthesisable, or its registers cannot
        be scanned (`gscn.rtl_gen.layout.clocking`).
    """
    liberty = check_liberty(liberty)
    with temporary_folder("gscn-layout-") as directory:
        words = flat_words(verilog, top, directory)
        write_constraints(liberty, directory)
        read_clocking(words, top, clock)
        macros = _macros(words, top)
        run_yosys(
            [
                "read_rtlil words.il",
                # Nothing relies on them, and no cell has one.
                "setattr -unset init w:*",
                *_take_out(macros, top),
                "memory_map",
                *GATE_LEVEL,
                *map_commands(liberty),
                "opt_clean -purge",
                f'read_liberty -lib "{liberty}"',
                "write_json cells.json",
                "design -reset",
                "read_rtlil words.il",
                *_take_out(macros, top),
                "memory_map",
                "opt",
                "write_json registers.json",
            ],
            directory,
        )
        registers, cells = (
            (directory / name).read_text(encoding="utf-8")
            for name in ("registers.json", "cells.json")
        )
    clocking = read_clocking(registers, top, clock)
    return read_block(cells, top, clock, clocking, tuple(macros.values()))


def _macros(text: str, top: str) -> dict[str, Memory]:
    """Return the memories that would be macros, by their cells."""
    cells = json.loads(text)["modules"][top]["cells"]
    memories = {
        name: memory_of(cell) for name, cell in cells.items() if cell["type"].startswith("$mem")
    }
    return {name: memory for name, memory in memories.items() if memory.is_macro}


def _take_out(macros: Iterable[str], top: str) -> list[str]:
    """Return the commands that make one empty module of memories."""
    if not macros:
        return []
    cells = " ".join(f"c:{name}" for name in macros)
    return [
        f'setattr -set submod "{_SUBMODULE}" {cells}',
        "submod",
        f"blackbox {top}_{_SUBMODULE}",
    ]


def read_block(
    text: str, top: str, clock: str, clocking: Clocking, macros: tuple[Memory, ...]
) -> Block:
    """Read a module of cells.

    Parameters
    ----------
    text
        What `write_json` wrote of the module, of the cells, and of its memories as one empty
        module.
    top, clock
        Names of the module and of its clock's port.
    clocking, macros
        As in `Block`.

    Raises
    ------
    InputError
        The text is no such netlist; a cell is not the library's, or has a constant at a pin; or a
        net has not exactly one driver.
    """
    try:
        modules = json.loads(text)["modules"]
        module = modules[top]
        names = _net_names(module["netnames"], clock)
        ports = {"input": [], "output": []}
        for name in sorted(module["ports"], key=lambda name: name != clock):
            port = module["ports"][name]
            ports[port["direction"]] += port["bits"]
        gates, driven, used = [], Counter[Any](), set[Any]()
        for name, cell in module["cells"].items():
            kind = cell["type"]
            if kind == "$scopeinfo":
                continue
            if kind not in modules:
                raise InputError(f"{name} must be a cell of the library, not {kind}")
            sides = {pin: port["direction"] for pin, port in modules[kind]["ports"].items()}
            if kind == f"{top}_{_SUBMODULE}":
                # What it puts out comes into the block.
                for pin, bits in cell["connections"].items():
                    ports["output" if sides[pin] == "input" else "input"] += bits
                continue
            pins = {pin: bits[0] for pin, bits in cell["connections"].items()}
            if constant := [pin for pin, bit in pins.items() if bit not in names]:
                raise InputError(f"{name} must have nets at its pins, not at {constant[0]}")
            driven.update(bit for pin, bit in pins.items() if sides[pin] == "output")
            used.update(bit for pin, bit in pins.items() if sides[pin] == "input")
            gates.append(Gate(kind=kind, pins={pin: names[bit] for pin, bit in pins.items()}))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"netlist must be what `write_json` writes: {error!r}") from error
    inputs = dict.fromkeys(bit for bit in ports["input"] if bit in used)
    # A constant at a port is no wire.
    outputs = dict.fromkeys(
        bit for bit in ports["output"] if bit in names and bit not in ports["input"]
    )
    driven.update([*inputs])
    wrong = [bit for bit in {**dict.fromkeys(used), **outputs, **driven} if driven[bit] != 1]
    if wrong:
        raise InputError(f"net {names[wrong[0]]} must have one driver, not {driven[wrong[0]]}")
    return Block(
        gates=tuple(gates),
        inputs=tuple(names[bit] for bit in inputs),
        outputs=tuple(names[bit] for bit in outputs),
        macros=macros,
        clocking=clocking,
    )


def _net_names(nets: Mapping[str, Mapping[str, Any]], clock: str) -> dict[Any, str]:
    """Return a name for every bit of the nets, one each: of all that it has the simplest."""
    order = sorted(
        nets, key=lambda name: (nets[name].get("hide_name", 0), name.count("."), len(name), name)
    )
    found: dict[Any, str] = {}
    taken: set[str] = set()
    for name in order:
        bits = nets[name]["bits"]
        for index, bit in enumerate(bits):
            if isinstance(bit, int) and bit not in found:
                stem = name if len(bits) == 1 else f"{name}_{index}"
                found[bit] = next(word for word in _words(stem, clock) if word not in taken)
                taken.add(found[bit])
    return found


def _words(name: str, clock: str) -> Iterator[str]:
    """Yield words that look like a name."""
    word = _NO_NAME.sub("_", name).strip("_") or "net"
    if word[0].isdigit():
        word = f"net_{word}"
    yield word if "_" in word or word == clock else f"{word}_"
    number = 1
    while True:
        number += 1
        yield f"{word}_{number}"
