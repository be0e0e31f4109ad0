"""Conversion of a component and of its shared submodules to one Verilog text."""

from __future__ import annotations

import contextlib
import gc
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from amaranth.back import verilog
from amaranth.hdl import ClockDomain, Fragment, UnusedElaboratable
from amaranth.hdl._ir import PortDirection  # has no public name in this version
from amaranth.lib import wiring

from gscn.errors import InputError
from gscn.hw.shared import ModuleLibrary, flat_ports
from gscn.rtl_gen.internal_ports import name_ports
from gscn.rtl_gen.modules import MODULE
from gscn.rtl_gen.unread import drop_unread_wires
from gscn.system.supervision import safe_import_path

_INITIAL_BLOCK = re.compile(r"^  initial begin\n(?P<body>(?:    .*\n)*)  end\n", re.MULTILINE)
_ZERO_ROW = re.compile(r"^    \S+\[\d+\] = \d+'h0+;$")


def strip_zero_memories(text: str) -> str:
    """Remove the `initial` blocks that only set rows of memories to zero.

    The converter writes one line per row of every memory; on large memories they dominate the text
    and the simulator's build time. Blocks with any other content are kept whole.

    Parameters
    ----------
    text
        Verilog as Amaranth writes it.
    """

    def replace(match: re.Match[str]) -> str:
        rows = match["body"].splitlines()
        return "" if rows and all(map(_ZERO_ROW.match, rows)) else match[0]

    return _INITIAL_BLOCK.sub(replace, text)


_WAKE = re.compile(r"^  reg (?P<name>\\\$auto\$verilog_backend\S+)  = 0;$", re.MULTILINE)
_ONE_LINE_PROCESS = re.compile(r"^  always @\*\n    (?P<statement>\S.* = .*;)$", re.MULTILINE)


def _wake_in_module(module: str) -> str:
    found = _WAKE.search(module)
    name = found["name"] if found else r"\$wake"
    module, changed = _ONE_LINE_PROCESS.subn(
        lambda process: (
            f"  always @* begin\n    if ({name} ) begin end\n    {process['statement']}\n  end"
        ),
        module,
    )
    declaration = f"  reg {name} ;\n  initial {name}  <= 0;"
    if found:
        return module.replace(found[0], declaration)
    if changed:
        return module.replace(";\n", f";\n{declaration}\n", 1)
    return module


def wake_processes(text: str) -> str:
    """Make every combinational process run once when a simulation starts.

    `always @*` waits for a change, so that a process whose inputs are constant, or have their
    initial values, never assigns its outputs. The converter therefore lets most processes, not all,
    read a register that it sets in its declaration. That is no change if a simulator does it before
    the processes begin to wait; a nonblocking assignment comes after.

    Parameters
    ----------
    text
        Verilog as Amaranth writes it.
    """
    return MODULE.sub(lambda module: _wake_in_module(module[0]), text)


_DIRECTIONS = {"i": PortDirection.Input, "o": PortDirection.Output}


@dataclass(frozen=True, kw_only=True, slots=True)
class VerilogModule:
    """Verilog text of a module and of all that it contains."""

    text: str
    ports: dict[str, tuple[str, int]]
    """Name of each port of the top module to its direction, `input` or `output`, and its bits."""


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Leave garbage for later: a netlist is all of use until it is written.

    The collector, which looks at all of its objects again and again, takes as long as the rest.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _convert(component: wiring.Component, name: str, library: ModuleLibrary) -> VerilogModule:
    with _uncollected():
        fragment = Fragment.get(component, library)
    # The domain is declared here, not left to be inferred, so that every module has both ports
    # even if it is purely combinational: instances of shared modules connect them always.
    sync = ClockDomain("sync")
    fragment.add_domains(sync)
    ports = {
        port: (value, _DIRECTIONS[way])
        for port, (value, way) in {
            "clk": (sync.clk, "i"),
            "rst": (sync.rst, "i"),
            **flat_ports(component),
        }.items()
    }
    try:
        with _uncollected(), safe_import_path():  # Yosys is started by `python -m`
            text, _ = verilog.convert_fragment(
                fragment, ports, name, emit_src=False, strip_internal_attrs=True
            )
    except verilog.YosysError as error:
        # As where the process may not have as much memory, or as large files, as Yosys needs.
        last = str(error).rpartition("\n")[2]
        raise InputError(f"Yosys must convert {name} to Verilog, but ended with: {last}") from error
    return VerilogModule(
        text=wake_processes(drop_unread_wires(name_ports(strip_zero_memories(text)))),
        ports={port: (way.value, len(value)) for port, (value, way) in ports.items()},
    )


def to_verilog(
    create: Callable[[], wiring.Component], name: str, known: Mapping[str, str] | None = None
) -> VerilogModule:
    """Return the Verilog of a component, each shared submodule emitted once.

    Parameters
    ----------
    create
        Makes the component. The ports of its module are those of its signature, flattened with
        double underscores, and `clk` and `rst` (synchronous, active high).
    name
        Name of its module.
    known
        Names of shared modules, with the Verilog that there is of them and of what they share.

    Returns
    -------
    VerilogModule
        Verilog without source locations, the same on every machine. The top module comes first.
    """
    try:
        with warnings.catch_warnings():
            # Of the components that share a module only the first is elaborated.
            warnings.simplefilter("ignore", UnusedElaboratable)
            return _convert_all(create(), name, known or {})
    except BaseException:
        # What is not elaborated for this dies later, with the exception.
        warnings.simplefilter("ignore", UnusedElaboratable)
        raise


def _convert_all(component: wiring.Component, name: str, known: Mapping[str, str]) -> VerilogModule:
    library = ModuleLibrary()
    top = _convert(component, name, library)
    texts = {name: top.text, **known}
    # Converting a shared module may register further ones.
    while missing := [found for found in library.components if found not in texts]:
        for shared in missing:
            texts[shared] = _convert(library.components[shared], shared, library).text
    del component, library
    gc.collect()
    return VerilogModule(text="\n".join(texts.values()), ports=top.ports)
