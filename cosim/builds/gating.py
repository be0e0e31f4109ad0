"""Parts of a cluster that are evaluated in those cycles only in which they can change.

A part is some instances side by side in one module, with all that they contain. If at a rising edge
its inputs are those of the last edge that it saw, and that edge changed none of its registers and
wrote none of its memories, then another edge changes nothing either, and may be left out. Nothing
is known of what a part does, so that this is right for any.

In the Verilog, a part has a clock of its own, and its inputs come through registers, which take
over by another clock; so Verilator evaluates none of its logic while both stand still. What the
caller of the model must know, it finds in two vectors with a bit for each part:

- `differs`: an input of the part is not what its register holds;
- `changed`: the last edge of the part's clock has changed something.

Before an edge it lets those parts take over that differ, until none does. At the edge the clocks of
those go that took something over since their last one, or that `changed`. All clocks here act at
both of their edges.

Some inputs have no register. Of those that hardly ever change the caller knows when they do, and
then has every part take over and clock. Those that only count while another input says so
(`PASSIVE`), and that input stays while they change, would be compared for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

PARTS = (
    (("input",), ("window", "load_reader", "load_expander", "marks", "window_jobs")),
    (("input",), ("tables", "table_loads", "table_streams")),
    (("input",), ("stream_reader", "stream_expander", "streamer", "stream_jobs", "dealer")),
    ((), ("drain", "results", "writer")),
)
"""Parts: instances from the cluster down to the module that contains them, and their names."""
PASSIVE = ("data",)
"""Inputs of a cluster that change nothing while `data_valid` is 0, and in a cycle in which it is
not change something: a queue grows. `tests/rtl_gen/test_boundary.py` checks the first."""

_MODULE = re.compile(r"^module (\\\S+ |\w+)\s*\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)
PORT = re.compile(r"^  (input|output) (?:\[(\d+):0\] )?(\\\S+|\w+) ?;$", re.MULTILINE)
"""A port of a module: its way, the number of its highest bit, its name."""
_INSTANCE = re.compile(
    r"^  (\\\S+|\w+) +(\\\S+|\w+) +\(\n((?:    \.[^\n]*\n)+)  \);\n", re.MULTILINE
)
_CONNECTION = re.compile(r"^    \.(\\\S+|\w+) ?\((.*)\),?$", re.MULTILINE)
_CLOCKED = re.compile(
    r"^  always @\(posedge clk\)(?: begin\n(.*?)^  end| *\n    (\S[^\n]*;))\n",
    re.MULTILINE | re.DOTALL,
)
_CONDITION = re.compile(r"\s*if \((.*)\)(?: begin)?")
_ASSIGNMENT = re.compile(r"\s*(\\\S+ |\w+)\s*((?:\[.*\])?) ?<= (.*);")
_NUMBER = re.compile(r"\d*'s?[bhd][0-9a-fA-FxXzZ_]+")
_NAME = re.compile(r"\\\S+|[A-Za-z_][\w$]*")
_CHANGED = "gscn_changed"


def both_edges(clock: str) -> str:
    """Return the event of a clock that acts at both edges, so that it needs no idle one."""
    return f"@(posedge {clock} or negedge {clock})"


def _changes(module: str) -> Iterator[str]:
    """Yield conditions under which an edge changes registers and memories of a module."""
    for block, statement in _CLOCKED.findall(module):
        condition = ""
        for line in (block or statement).splitlines():
            if found := _CONDITION.fullmatch(line):
                condition = found[1]
            elif found := _ASSIGNMENT.fullmatch(line):
                target, place, value = found.groups()
                # what a memory holds is not compared
                differs = "" if place else f"{target} != {value}"
                terms = [f"({term})" for term in (condition, differs) if term]
                yield " && ".join(terms) or "1'b1"
                condition = ""
            elif line.strip() not in ("", "end"):
                raise ValueError(f"a clocked statement must be known, not {line!r}")


def _names(expression: str) -> set[str]:
    return set(_NAME.findall(_NUMBER.sub("", expression)))


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
        """Yield the paths of an instance and all below it, and have their modules say it."""
        module, name = instance[1].removeprefix("\\"), f"{instance[2]} "
        if module not in self.watched:
            self.watched.add(module)
            terms = list(dict.fromkeys(_changes(self.modules[module])))
            if terms:
                text = f"  reg {_CHANGED} = 1'b1;\n  always @(posedge clk) {_CHANGED} <= "
                text += "\n    | ".join(f"({term})" for term in terms) + ";\nendmodule\n"
                self.modules[module] = self.modules[module].replace("endmodule\n", text)
        if f"reg {_CHANGED} " in self.modules[module]:
            yield f"{name}.{_CHANGED}"
        for inner in self.instances(module).values():
            yield from (f"{name}.{path}" for path in self.below(inner))


def _gate(
    design: _Design, module: str, number: int, members: list[re.Match], direct: set[str], top: str
) -> None:
    """Make instances of a module a part; `direct` are nets that need no register."""
    directions, widths = {}, {}
    inner = set(direct)
    for member in members:
        ports = PORT.findall(design.modules[member[1].removeprefix("\\")])
        for way, highest, name in ports:
            directions[member[2], name] = way
            widths[member[2], name] = f"[{highest or 0}:0]"
        for name, value in _CONNECTION.findall(member[3]):
            if directions[member[2], name] == "output":
                inner |= _names(value)
    held, text = [], design.modules[module]
    for member in members:
        connections = []
        for name, value in _CONNECTION.findall(member[3]):
            inside = value
            if name == "clk":
                inside = f"{top}.clk_{number}"
            elif directions[member[2], name] == "input" and _names(value) - inner:
                inside = f"gscn_held_{number}_{len(held)}"
                held.append((inside, widths[member[2], name], value))
            connections.append(f"    .{name} ({inside})")
        text = text.replace(
            member[0], f"  {member[1]}  {member[2]}  (\n" + ",\n".join(connections) + "\n  );\n"
        )
    changed = [path for member in members for path in design.below(member)]
    text = text.replace(
        "endmodule\n",
        "".join(f"  reg {width} {name} = 0;\n" for name, width, _ in held)
        + f"  always {both_edges(f'{top}.change_{number}')} begin\n"
        + "".join(f"    {name} <= {value};\n" for name, _, value in held)
        + f"  end\n  wire differs_{number} = "
        + "\n    | ".join(f"({name} != ({value}))" for name, _, value in held)
        + f";\n  wire changed_{number} = "
        + "\n    | ".join(changed)
        + ";\nendmodule\n",
    )
    design.modules[module] = text


@dataclass(frozen=True, kw_only=True, slots=True)
class Gated:
    """A cluster in parts."""

    verilog: str
    """Modules of the design, the cluster's in parts. They refer to `clk_N` and `change_N` of the
    top module for part N."""
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
        The top module, which has the clocks.
    steady
        Inputs of the cluster of which the caller knows when they change.
    """
    design = _Design(
        modules={
            found[1].strip().removeprefix("\\"): found[0] for found in _MODULE.finditer(verilog)
        }
    )
    signals = []
    for number, (path, names) in enumerate(PARTS):
        module, direct, prefix = cluster, steady | set(PASSIVE), ""
        for step in path:
            instance = design.instances(module)[step]
            direct = {
                name for name, value in _CONNECTION.findall(instance[3]) if _names(value) <= direct
            }
            module = instance[1].removeprefix("\\")
            prefix += f"{instance[2]} ."
        instances = design.instances(module)
        _gate(design, module, number, [instances[name] for name in names], direct, top)
        signals.append((f"{prefix}differs_{number}", f"{prefix}changed_{number}"))
    text = "".join(design.modules.values())
    return Gated(
        verilog=text.replace("always @(posedge clk)", f"always {both_edges('clk')}"),
        signals=tuple(signals),
    )
