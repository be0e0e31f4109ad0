"""All that a clock edge does to a module in one process, in which little is made for nothing.

In Verilog as Amaranth writes it, each register has a process that makes its next value from wires
and from its value, and another one that takes it. Verilator evaluates the former whenever something
that it reads may have changed, more than once per cycle, and stores what it makes, in most cycles
the value that the register has. At the edge it loads, compares (`cosim.builds.gating`) and stores
it again.

Here a module has one process at the edge. Wires and processes that nothing else reads are
variables in it, made once per cycle. A register that keeps its value unless something holds is
assigned only where that does, and all resets come last, behind one question.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

CHANGED = "gscn_changed"
"""Register of a watched module: whether the last edge has changed something."""
_SOME = "gscn_some"
# Neither sized constants such as 4'hf are names, nor the port in a connection `.port(wire)`.
_NAME = re.compile(r"(?<!\.)\\\S+|(?<![\w$'.\\])[A-Za-z_][\w$]*")
CLOCKED = "always @(posedge clk)"
_CLOCKED = re.compile(
    rf"^  {re.escape(CLOCKED)}(?: begin\n(.*?)^  end| *\n(    \S[^\n]*;))\n",
    re.MULTILINE | re.DOTALL,
)
_LOGIC = re.compile(
    r"^  assign ([^\n]*;)\n|^  always @\* begin\n(.*?)^  end\n", re.MULTILINE | re.DOTALL
)
_WAKES = re.compile(r" *if \(\\\$\S+ \) begin end\n")
_DECLARATION = re.compile(r"^  (?:wire|reg) (\[\d+:0\] )?(\\\S+|\w+) ?;\n", re.MULTILINE)
_ASSIGNMENT = re.compile(r"(\s*)(.*?) ?= (.*);")
_TAKING = re.compile(r"(\s*(?:if \(.*\) )?)((\\\S+ |\w+)\s*(\[.*\])? ?<= (.*);)")
_CONTROL = re.compile(r"\s*(?:if \(.*\)(?: begin)?|end|)")
_RESET = re.compile(r"    if \(rst\) begin\n +\S+ += (.*);\n    end\n\Z")


def names(expression: str) -> set[str]:
    """Return the names in an expression, or in a statement."""
    return set(_NAME.findall(expression))


@dataclass(kw_only=True)
class _Logic:
    """A wire's assignment, or a combinational process."""

    text: str
    process: bool
    targets: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for line in self.text.splitlines():
            if found := _ASSIGNMENT.fullmatch(line):
                self.targets |= names(found[2])
                self.reads |= names(found[3])
            else:
                self.reads |= names(line)


def _inside(logic: list[_Logic], declared: set[str], outside: set[str]) -> list[_Logic]:
    """Return the logic that only the edge needs, each piece behind what it reads."""
    users: dict[str, set[int]] = {}
    for number, piece in enumerate(logic):
        for name in piece.targets | piece.reads:
            users.setdefault(name, set()).add(number)
    inside = set(range(len(logic)))
    while True:
        needed = {
            number
            for number in inside
            if all(
                name in declared and name not in outside and users[name] <= inside
                for name in logic[number].targets
            )
        }
        if needed == inside:
            makers = {
                number: {
                    maker
                    for name in logic[number].reads
                    for maker in users[name] & inside
                    if name in logic[maker].targets
                }
                for number in sorted(inside)
            }
            try:
                TopologicalSorter(makers).prepare()
            except CycleError as error:  # bits of a vector that are made of others of it
                needed = inside - set(error.args[1])
            else:
                return [logic[number] for number in _ordered(makers)]
        inside = needed


def _ordered(makers: dict[int, set[int]]) -> dict[int, None]:
    """Return all numbers, each behind those that it needs and not long behind them.

    What is made and not yet used takes room in a processor's registers.
    """
    order: dict[int, None] = {}
    due = sorted(makers, reverse=True)
    while due:
        missing = [maker for maker in sorted(makers[due[-1]], reverse=True) if maker not in order]
        if missing:
            due += missing
        else:
            order[due.pop()] = None
    return order


def _taken(piece: _Logic, register: str, resets: list[str]) -> str | None:
    """Return a register's next value as assignments to it, None if it has to be made first.

    Its reset goes to the others.
    """
    (target,) = piece.targets
    if found := _RESET.search(piece.text):
        resets.append(f"      {register} <= {found[1]};\n")
        piece.text = piece.text[: found.start()]
    first, _, rest = piece.text.partition("\n")
    keeps = re.fullmatch(rf"    {re.escape(target)} += {re.escape(register)} ?;", first)
    # a default that another value replaces would be a change each time
    if not piece.process or not (keeps or not rest):
        return None
    whole = re.compile(rf"^( +){re.escape(target)} += (.*;)$", re.MULTILINE)
    text = whole.sub(rf"\1{_quoted(register)} <= \2", rest if keeps else piece.text)
    return None if target in names(text) else text


def _quoted(name: str) -> str:
    return name.replace("\\", r"\\")


def _noted(line: str) -> str:
    """Return an assignment with a note of whether it changes something."""
    found = _TAKING.fullmatch(line)
    if found is None:
        return line
    before, taking, target, place, value = found.groups()
    # what a memory holds is not compared
    change = "1'b1" if place else f"{_SOME} | ({target} != {value})"
    return f"{before}begin {taking} {_SOME} = {change}; end"


def at_edge(module: str, *, watched: bool) -> str:
    """Return a module with one process for all that happens at an edge of `clk`.

    Parameters
    ----------
    module
        Verilog as `rtl_gen` writes it.
    watched
        Whether it gets the register `CHANGED`.
    """
    statements = [block or f"{one}\n" for block, one in _CLOCKED.findall(module)]
    if not statements:
        return module
    for line in "".join(statements).splitlines():
        if not _CONTROL.fullmatch(line) and not _TAKING.fullmatch(line):
            raise ValueError(f"a clocked statement must be known, not {line!r}")
    logic = [
        _Logic(text=f"    {wire}\n" if wire else _WAKES.sub("", process), process=not wire)
        for wire, process in _LOGIC.findall(module)
    ]
    rest = _CLOCKED.sub("", module)
    widths = {name: width for width, name in _DECLARATION.findall(module)}
    outside = names(_DECLARATION.sub("", _LOGIC.sub("", rest)))
    inside = _inside(logic, set(widths), outside)
    made = set().union(*(piece.targets for piece in inside))

    body, resets, local = [], [], set(made)
    readers = Counter(name for piece in inside for name in piece.reads)
    readers.update(name for statement in statements for name in names(statement))
    registers = {}
    for number, statement in enumerate(statements):
        found = _TAKING.fullmatch(statement.rstrip("\n"))
        if found is None or found[1].strip() or found[4]:
            continue
        if (name := found[5].strip()) in made and readers[name] == 1:
            registers[name] = number, found[3].strip()
    for piece in inside:
        (target, *others), text = piece.targets, None
        if not others and target in registers:
            number, register = registers[target]
            text = _taken(piece, register, resets)
            if text is not None:
                statements[number] = ""
                local.discard(target)
        body.append(piece.text if text is None else text)
    lines = "".join(body + statements).splitlines()
    if resets:
        lines += ["    if (rst) begin", *"".join(resets).splitlines(), "    end"]
    if watched:
        lines = [f"    {_SOME} = 1'b0;", *map(_noted, lines), f"    {CHANGED} <= {_SOME};"]
        local.add(_SOME)
    variables = [f"    reg {widths.get(name, '')}{name} ;\n" for name in sorted(local)]

    there = {id(piece) for piece in inside}
    pieces = iter(logic)
    rest = _LOGIC.sub(lambda found: "" if id(next(pieces)) in there else found[0], rest)
    rest = _DECLARATION.sub(lambda found: "" if found[2] in made else found[0], rest)
    process = f"  {CLOCKED} begin : gscn_edge\n{''.join(variables)}" + "".join(
        f"{line}\n" for line in lines
    )
    flag = f"  reg {CHANGED} = 1'b1;\n" if watched else ""
    return rest.replace("endmodule\n", f"{flag}{process}  end\nendmodule\n")
