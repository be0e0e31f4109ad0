"""Removal of wires that nothing reads, which the converter writes as other names of signals."""

from __future__ import annotations

import re
from collections import Counter

from gscn.rtl_gen.modules import MODULE

# An escaped name ends at white space. Sized constants such as 4'hf are no names; neither is the
# port in a connection `.port(wire)`.
_NAME = re.compile(r"(?<!\.)\\\S+|(?<![\w$'.\\])[A-Za-z_][\w$]*")
_TARGET = r"(?P<name>\\\S+ |[A-Za-z_][\w$]*)"
# A signal of no bits is written as [-1:0], which Verilog takes for two bits.
_WIRE = re.compile(rf"^  wire (?:\[-?\d+:\d+\] )?{_TARGET};$")
_PORT = re.compile(rf"^  (?:input|output) (?:\[\d+:\d+\] )?{_TARGET};$")
_ASSIGN = re.compile(rf"^  assign {_TARGET} = .*;$")
_ATTRIBUTE = re.compile(r"^  \(\* .* \*\)$")


def drop_unread_wires(text: str) -> str:
    """Remove every wire that nothing reads, with its declaration and its assignment.

    Amaranth keeps a wire for each field of a record and for each name of a connection. They are
    most of the text, and linters and synthesis report each of them. Ports, registers, wires
    assigned in parts and wires connected to an instance are kept.

    Parameters
    ----------
    text
        Verilog as Amaranth writes it: one declaration or assignment per line.
    """
    return MODULE.sub(lambda module: _drop_in_module(module[0]), text)


def _drop_in_module(module: str) -> str:
    lines = module.split("\n")
    names = [_NAME.findall(line) for line in lines]
    uses = Counter(name for line in names for name in line)
    declared: dict[str, int] = {}
    ports: set[str] = set()
    assigned: dict[str, list[int]] = {}
    for number, line in enumerate(lines):
        if match := _WIRE.match(line):
            declared[match["name"].strip()] = number
        elif match := _PORT.match(line):
            ports.add(match["name"].strip())
        elif match := _ASSIGN.match(line):
            assigned.setdefault(match["name"].strip(), []).append(number)

    def is_unread(name: str) -> bool:
        # The declaration is one use, each assignment another; a further one reads the wire.
        targets = len(assigned.get(name, ()))
        return name in declared and name not in ports and targets <= 1 and uses[name] == 1 + targets

    dropped: set[int] = set()
    unread = [name for name in declared if is_unread(name)]
    while unread:
        name = unread.pop()
        dropped.add(declared[name])
        above = declared[name] - 1
        while _ATTRIBUTE.match(lines[above]):
            dropped.add(above)
            above -= 1
        for assignment in assigned.get(name, ()):
            dropped.add(assignment)
            # after `assign` and the target; what only this wire read is unread now
            for read in names[assignment][2:]:
                uses[read] -= 1
                if is_unread(read):
                    unread.append(read)
    return "\n".join(line for number, line in enumerate(lines) if number not in dropped)
