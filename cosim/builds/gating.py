"""Parts of a cluster that are evaluated in those cycles only in which they can change.

A part is some instances side by side in one module, with all that they contain. If at a rising edge
its inputs are those of the last edge that it saw, and that edge changed none of its registers and
wrote none of its memories, then another edge changes nothing either, and may be left out. Nothing
is known of what a part does, so that this is right for any.

In the Verilog, a part has a clock of its own. What the caller of the model must know, it finds in
two vectors with a bit for each part:

- `differs`: an input of the part is not what the last edge of its clock has seen;
- `changed`: that edge has changed something.

At an edge those clocks go for which one of both holds. All clocks here act at both of their edges.

Some inputs are not compared. Of those that hardly ever change the caller knows when they do, and
then has every part's clock go. Those that only count while another input says so (`PASSIVE`), and
that input stays while they change, would be compared for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gscn.cosim.builds.edges import CHANGED, CLOCKED, at_edge, names
from gscn.cosim.builds.shifts import without_wide_shifts

PARTS = (
    (("input",), ("window", "load_reader", "load_expander", "marks", "window_jobs")),
    (("input",), ("tables", "table_loads", "table_streams")),
    (("input",), ("stream_reader", "stream_expander", "streamer", "stream_jobs", "dealer")),
    ((), ("drain", "results", "writer")),
)
"""Parts: instances from the cluster down to the module that contains them, and their names."""
PASSIVE = {"data": "data_valid"}
"""Inputs of a cluster that change nothing while another one is 0, and in a cycle in which it is
not change something: a queue grows. `tests/rtl_gen/test_boundary.py` checks the first."""

_MODULE = re.compile(r"^module (\\\S+ |\w+)\s*\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)
PORT = re.compile(r"^  (input|output) (?:\[(\d+):0\] )?(\\\S+|\w+) ?;$", re.MULTILINE)
"""A port of a module: its way, the number of its highest bit, its name."""
_INSTANCE = re.compile(
    r"^  (\\\S+|\w+) +(\\\S+|\w+) +\(\n((?:    \.[^\n]*\n)+)  \);\n", re.MULTILINE
)
_CONNECTION = re.compile(r"^    \.(\\\S+|\w+) ?\((.*)\),?$", re.MULTILINE)


def both_edges(clock: str) -> str:
    """Return the event of a clock that acts at both edges, so that it needs no idle one."""
    return f"@(posedge {clock} or negedge {clock})"


@dataclass(kw_only=True)
class _Design:
    """Modules, by their names without the backslash."""

    modules: dict[str, str]
    watched: set[str] = field(default_factory=set)
    """Those that say whether an edge has changed something."""

    def instances(self, module: str) -> dict[str, re.Match]:
        """Return the instances in a module, by their names without what makes them unique."""
        return {
            re.sub(r"\$\d+$", "", found[2].removeprefix("\\")): found
            for found in _INSTANCE.finditer(self.modules[module])
        }

    def below(self, instance: re.Match) -> Iterator[str]:
        """Yield where an instance and all below it say that an edge has changed something."""
        module, name = instance[1].removeprefix("\\"), f"{instance[2]} "
        if CLOCKED in self.modules[module]:
            self.watched.add(module)
            yield f"{name}.{CHANGED}"
        for inner in self.instances(module).values():
            yield from (f"{name}.{path}" for path in self.below(inner))

    def written(self, module: str, done: set[str]) -> Iterator[str]:
        """Yield a module and all below it, each once, with one process for an edge."""
        if module not in done:
            done.add(module)
            text = without_wide_shifts(self.modules[module])
            yield at_edge(text, watched=module in self.watched)
            for inner in self.instances(module).values():
                yield from self.written(inner[1].removeprefix("\\"), done)


def _gate(
    design: _Design, module: str, number: int, members: list[re.Match], direct: set[str], top: str
) -> None:
    """Make instances of a module a part; `direct` are nets that need not be compared."""
    directions, widths = {}, {}
    inner = set(direct)
    for member in members:
        ports = PORT.findall(design.modules[member[1].removeprefix("\\")])
        for way, highest, name in ports:
            directions[member[2], name] = way
            widths[member[2], name] = f"[{highest or 0}:0]"
        for name, value in _CONNECTION.findall(member[3]):
            if directions[member[2], name] == "output":
                inner |= names(value)
    seen, text = {}, design.modules[module]
    for member in members:
        connections = []
        for name, value in _CONNECTION.findall(member[3]):
            if name == "clk":
                value = f"{top}.clk_{number}"
            elif directions[member[2], name] == "input" and names(value) - inner:
                seen.setdefault(value, (f"gscn_seen_{number}_{len(seen)}", widths[member[2], name]))
            connections.append(f"    .{name} ({value})")
        text = text.replace(
            member[0], f"  {member[1]}  {member[2]}  (\n" + ",\n".join(connections) + "\n  );\n"
        )
    changed = [path for member in members for path in design.below(member)]
    text = text.replace(
        "endmodule\n",
        "".join(f"  reg {width} {name} = 0;\n" for name, width in seen.values())
        + f"  always {both_edges(f'{top}.clk_{number}')} begin\n"
        + "".join(f"    {name} <= {value};\n" for value, (name, _) in seen.items())
        + f"  end\n  wire differs_{number} = "
        + "\n    | ".join(f"({name} != ({value}))" for value, (name, _) in seen.items())
        + f";\n  wire changed_{number} = "
        + "\n    | ".join(changed)
        + ";\nendmodule\n",
    )
    design.modules[module] = text


@dataclass(frozen=True, kw_only=True, slots=True)
class Gated:
    """A cluster in parts."""

    verilog: str
    """The cluster's module, in parts, and all below. They refer to `clk_N` of the top module for
    part N."""
    signals: tuple[tuple[str, str], ...]
    """Paths from the cluster of `differs` and `changed` of each part."""


def gate(verilog: str, cluster: str, top: str, steady: set[str]) -> Gated:
    """Return the modules with a cluster in parts.

    Parameters
    ----------
    verilog
        All modules, as `rtl_gen` writes them.
    cluster
        The cluster's module.
    top
        The top module, which has the parts' clocks.
    steady
        Inputs of the cluster of which the caller knows when they change.
    """
    design = _Design(
        modules={
            found[1].strip().removeprefix("\\"): found[0] for found in _MODULE.finditer(verilog)
        }
    )
    signals = []
    for number, (path, members) in enumerate(PARTS):
        module, direct, prefix = cluster, steady | set(PASSIVE), ""
        for step in path:
            instance = design.instances(module)[step]
            direct = {
                name for name, value in _CONNECTION.findall(instance[3]) if names(value) <= direct
            }
            module = instance[1].removeprefix("\\")
            prefix += f"{instance[2]} ."
        instances = design.instances(module)
        _gate(design, module, number, [instances[name] for name in members], direct, top)
        signals.append((f"{prefix}differs_{number}", f"{prefix}changed_{number}"))
    text = "".join(design.written(cluster, set()))
    return Gated(
        verilog=text.replace(CLOCKED, f"always {both_edges('clk')}"),
        signals=tuple(signals),
    )
