"""What an elaborated component shows: what depends on what, how late, and its state after reset."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator

from amaranth.hdl import (
    ClockDomain,
    Const,
    Fragment,
    Module,
    Value,
    _ir,
    _nir,  # there is no public way to walk a netlist
)
from amaranth.lib import wiring
from amaranth.lib.wiring import In

UNKNOWN = None
"""A bit of which a reset says nothing."""
Bit = int | None
_READS = (_nir.AsyncReadPort, _nir.SyncReadPort)


def leaves(component: wiring.Component) -> dict[str, tuple[Value, str]]:
    """Return the leaves of a component's members: dotted path to (value, `"i"` or `"o"`).

    A payload is `p` and an index the number, as in the sources. What has no bits is left out, and
    so is the constant half of a stream that is always valid or ready.
    """
    found = {}
    for path, member, value in component.signature.flatten(component):
        if len(Value.cast(value)) and not isinstance(value, Const):
            name = ".".join("p" if step == "payload" else str(step) for step in path)
            found[name] = Value.cast(value), "i" if member.flow == In else "o"
    return found


class Netlist:
    """A component as nets of one bit each.

    Parameters
    ----------
    component
        Elaborated here, once.
    """

    def __init__(self, component: wiring.Component) -> None:
        self.leaves = leaves(component)
        m = Module()
        m.domains.sync = domain = ClockDomain()
        m.submodules.dut = component
        ports = [domain.clk, domain.rst, *(value for value, _ in self.leaves.values())]
        # without what only a backend needs: which module a net is a port of
        netlist = _nir.Netlist()
        _ir._emit_netlist(netlist, Fragment.get(m, None).prepare(ports=ports))
        netlist.check_comb_cycles()
        netlist.resolve_all_nets()
        self._cells = netlist.cells
        (self._reset,) = netlist.signals[domain.rst]
        self._nets = {name: netlist.signals[value] for name, (value, _) in self.leaves.items()}
        self._input: dict[_nir.Net, str] = {}
        self._bits: dict[_nir.Net, Bit] = {_nir.Net.from_const(0): 0, _nir.Net.from_const(1): 1}
        self._reached: dict[_nir.Net, bool] = {}
        """Whether the reset has a path to a net that no register is on."""
        for name, (value, direction) in self.leaves.items():
            if direction == "i":
                for bit, net in enumerate(self._nets[name]):
                    self._input[net] = name
                    self._bits[net] = value.init >> bit & 1
        self._sources: dict[tuple[tuple[str, ...], int | None, bool], dict[str, int]] = {}
        self._writes: dict[int, list[int]] = {}
        for number, cell in enumerate(self._cells):
            if isinstance(cell, _nir.SyncWritePort):
                self._writes.setdefault(cell.memory, []).append(number)

    def sources(
        self, *outputs: str, cycles: int | None = None, memories: bool = True
    ) -> dict[str, int]:
        """Return the inputs that reach some outputs, and how many cycles before at the least.

        Parameters
        ----------
        outputs
            Paths of leaves.
        cycles
            Look no further back than this; None: as far as registers go.
        memories
            Look through memories, too: from what is read to what is written.
        """
        key = outputs, cycles, memories
        if key not in self._sources:
            self._sources[key] = self._search(outputs, cycles, memories)
        return self._sources[key]

    def _search(
        self, outputs: tuple[str, ...], cycles: int | None, memories: bool
    ) -> dict[str, int]:
        known: set[_nir.Net] = set()
        # what follows from one bit of a read follows from any, and no earlier from later ones
        ports: set[int] = set()
        found: dict[str, int] = {}
        # by distance: the next ones are at most two cycles before
        waiting = [[net for output in outputs for net in self._nets[output]], [], []]
        distance = 0
        while any(waiting) and (cycles is None or distance <= cycles):
            here = waiting[0]
            while here:
                net = here.pop()
                if net in known or net.is_const:
                    continue
                known.add(net)
                if net in self._input:
                    found.setdefault(self._input[net], distance)
                elif net.cell != 0 and net.cell not in ports:  # neither clock nor reset
                    if isinstance(self._cells[net.cell], _READS):
                        ports.add(net.cell)
                        if not memories:
                            continue
                    for other, later in self._before(net):
                        if other not in known:
                            waiting[later].append(other)
            waiting = [*waiting[1:], here]
            distance += 1
        return found

    def _before(self, net: _nir.Net) -> Iterator[tuple[_nir.Net, int]]:
        """Yield the nets that a net follows, and how many cycles later: at most two."""
        cell = self._cells[net.cell]
        if isinstance(cell, _nir.FlipFlop):
            yield cell.data[net.bit], 1
            return
        for other, _ in cell.comb_edges_to(net.bit):
            yield other, 0
        if isinstance(cell, _nir.SyncReadPort):
            for other in (*cell.addr, cell.en):
                yield other, 1
        if isinstance(cell, _nir.AsyncReadPort | _nir.SyncReadPort):
            sync = isinstance(cell, _nir.SyncReadPort)
            for number in self._writes.get(cell.memory, ()):
                port = self._cells[number]
                later = 1 + (sync and number not in cell.transparent_for)
                for other in (*port.data, *port.addr, *port.en):
                    yield other, later

    def after_reset(self, output: str) -> list[Bit]:
        """Return the bits of an output after a reset, its inputs at rest.

        Memories, and registers without a reset, are `UNKNOWN`, as is what follows from them.
        """
        waiting = list(self._nets[output])
        while waiting:
            net = waiting[-1]
            if net in self._bits:
                waiting.pop()
                continue
            missing = [other for other in self._needed(net) if other not in self._bits]
            waiting += missing
            if not missing:
                self._bits[net] = self._bit(net)
        return [self._bits[net] for net in self._nets[output]]

    def _needed(self, net: _nir.Net) -> list[_nir.Net]:
        cell = self._cells[net.cell]
        stores = _nir.FlipFlop | _nir.AsyncReadPort | _nir.SyncReadPort
        if net.cell == 0 or isinstance(cell, stores):
            return []
        return [other for other, _ in cell.comb_edges_to(net.bit)]

    def _has_reset(self, net: _nir.Net) -> bool:
        """Return whether the reset reaches what a register takes."""
        waiting = [net]
        while waiting:
            one = waiting[-1]
            if one in self._reached:
                waiting.pop()
                continue
            before = [] if one == self._reset or one.is_const else self._needed(one)
            missing = [other for other in before if other not in self._reached]
            waiting += missing
            if not missing:
                self._reached[one] = one == self._reset or any(self._reached[o] for o in before)
        return self._reached[net]

    def _bit(self, net: _nir.Net) -> Bit:
        cell = self._cells[net.cell]
        if isinstance(cell, _nir.FlipFlop):
            return cell.init >> net.bit & 1 if self._has_reset(cell.data[net.bit]) else UNKNOWN
        if isinstance(cell, _nir.Operator):
            values = [[self._bits.get(other) for other in value] for value in cell.inputs]
            return operation(cell.operator, values, net.bit)
        if isinstance(cell, _nir.Matches):
            return _matches([self._bits[other] for other in cell.value], cell.patterns)
        if isinstance(cell, _nir.PriorityMatch):
            *before, own = (self._bits[other] for other in cell.inputs[: net.bit + 1])
            return _and([self._bits[cell.en], own, _not(_or(before))])
        if isinstance(cell, _nir.AssignmentList):
            result = self._bits[cell.default[net.bit]]
            for assignment in cell.assignments:
                place = net.bit - assignment.start
                if 0 <= place < len(assignment.value):
                    new = self._bits[assignment.value[place]]
                    result = _mux(self._bits[assignment.cond], new, result)
            return result
        if isinstance(cell, _nir.Part):
            offset = _number([self._bits[other] for other in cell.offset])
            value = [self._bits[other] for other in cell.value]
            if offset is UNKNOWN:
                return value[0] if len(set(value)) == 1 else UNKNOWN
            place = offset * cell.stride + net.bit
            beyond = value[-1] if cell.value_signed else 0
            return value[place] if place < len(value) else beyond
        # clock and reset are low, and what nothing drives stays 0
        return 0 if net.cell == 0 else UNKNOWN


def _not(bit: Bit) -> Bit:
    return UNKNOWN if bit is UNKNOWN else 1 - bit


def _or(bits: list[Bit]) -> Bit:
    return 1 if 1 in bits else UNKNOWN if UNKNOWN in bits else 0


def _and(bits: list[Bit]) -> Bit:
    return _not(_or([_not(bit) for bit in bits]))


def _xor(bits: list[Bit]) -> Bit:
    return UNKNOWN if UNKNOWN in bits else sum(bits) % 2


def _mux(condition: Bit, yes: Bit, no: Bit) -> Bit:
    if condition is UNKNOWN:
        return yes if yes == no else UNKNOWN
    return yes if condition else no


def _number(bits: list[Bit], *, signed: bool = False) -> int | None:
    if UNKNOWN in bits:
        return UNKNOWN
    value = sum(bit << place for place, bit in enumerate(bits))
    return value - (1 << len(bits)) if signed and bits and bits[-1] else value


def _equal(first: list[Bit], second: list[Bit]) -> Bit:
    return _and([_not(_xor([a, b])) for a, b in zip(first, second, strict=True)])


def _matches(value: list[Bit], patterns: tuple[str, ...]) -> Bit:
    """Return whether a value is like one of the patterns, whose highest bit comes first."""
    return _or(
        [
            _and(
                [
                    _not(_xor([bit, int(wanted)]))
                    for bit, wanted in zip(reversed(value), pattern, strict=True)
                    if wanted != "-"
                ]
            )
            for pattern in patterns
        ]
    )


# no component divides
ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def operation(name: str, values: list[list[Bit]], place: int) -> Bit:
    """Return a bit of the result of an operator of `amaranth.hdl._nir.Operator`.

    What cannot be said of one bit alone is `UNKNOWN` as soon as any bit of the operands is.
    """
    first, *others = values
    if name == "m":
        return _mux(first[0], others[0][place], others[1][place])
    if name == "~":
        return _not(first[place])
    if name in ("&", "|", "^"):
        return {"&": _and, "|": _or, "^": _xor}[name]([first[place], others[0][place]])
    if name in ("b", "r|", "r&", "r^"):
        return {"b": _or, "r|": _or, "r&": _and, "r^": _xor}[name](first)
    if name in ("==", "!="):
        same = _equal(first, others[0])
        return same if name == "==" else _not(same)
    if name == "-" and not others:
        first, others = [0] * len(first), [first]
    signed, symbol = name[0] == "s", name.lstrip("us")
    # a shift's amount has no sign, nor has a product's low half
    operands = [
        _number(first, signed=signed),
        _number(others[0], signed=signed and symbol not in ("<<", ">>")),
    ]
    if UNKNOWN in operands:
        return UNKNOWN
    return int(ARITHMETIC[symbol](*operands)) >> place & 1
