"""Look inside an elaborated component without changing it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import FrameType

from amaranth.hdl import Cat, Const, Elaboratable, Fragment, Signal, Value
from amaranth.hdl._ast import Assign, Switch  # there is no public way to walk statements

from gscn.errors import InputError
from gscn.hw.forwarding_memory import PIECE, SMALL_BITS


class Probe:
    """An elaborated component whose registers and memories a checker may read.

    Induction starts from any state, so a checker must say how the registers of a component hang
    together. They are local to `elaborate`; here they are found by name in its result, so that no
    formal statement has to stand in the component itself.

    Parameters
    ----------
    component
        The component; elaborated here, once. Add `fragment` as the submodule in its stead.
    """

    def __init__(self, component: Elaboratable) -> None:
        self._variables: dict[int, dict[str, dict[int, Signal]]] = {}
        before = sys.getprofile()
        sys.setprofile(self._note_variables)
        try:
            self.fragment = Fragment.get(component, None)
        finally:
            sys.setprofile(before)

    def _note_variables(self, frame: FrameType, event: str, _: object) -> None:
        """Note what the variables of a component's methods are when they return.

        Signals that are made several at a time have no name of their own.
        """
        if event != "return" or frame.f_code.co_varnames[:1] != ("self",):
            return
        variables = frame.f_locals
        if isinstance(variables.get("self"), Elaboratable):
            own = self._variables.setdefault(id(variables["self"]), {})
            for name, value in variables.items():
                if isinstance(value, Signal):
                    own.setdefault(name, {})[id(value)] = value

    def _part(self, path: str) -> tuple[Fragment, str]:
        *parts, name = path.split(".")
        fragment = self.fragment
        for part in parts:
            fragment = fragment.find_subfragment(part)
        return fragment, name

    def signal(self, path: str) -> Signal:
        """Return the signal that a submodule drives.

        Parameters
        ----------
        path
            Names of submodules and of the signal, joined by dots; of a signal whose name is not
            its own, that of the variable that it is kept in.

        Raises
        ------
        InputError
            The submodule drives no signal, or several signals, of that name.
        """
        fragment, name = self._part(path)
        found = {
            id(signal): signal
            for statements in fragment.statements.values()
            for statement in statements
            for signal in statement._lhs_signals()  # there is no public way
            if signal.name == name
        }
        if len(found) != 1:
            for origin in fragment.origins or ():
                found = self._variables.get(id(origin), {}).get(name, found)
        if len(found) != 1:
            raise InputError(f"probe {path!r} must name exactly one signal, not {len(found)}")
        (signal,) = found.values()
        return signal

    def states(self, path: str = "fsm_state") -> dict[str, Value]:
        """Return whether a state machine is in each of its states, by their names.

        Parameters
        ----------
        path
            Names of submodules and of the state, joined by dots.
        """
        state = self.signal(path)
        found = {}
        for number in range(1 << len(state)):
            try:
                name, _, _ = state.decoder(number).partition("/")
            except KeyError:
                continue  # no state has this code
            found[name] = state == number
        return found

    def register_of(self, value: Signal) -> Signal:
        """Return the register of the component itself that an input is stored in, unchanged.

        For registers that have no name of their own.

        Raises
        ------
        InputError
            The input is stored in no register, or in several.
        """

        def assignments(statements: Iterable) -> Iterator:
            for statement in statements:
                if isinstance(statement, Assign):
                    yield statement
                elif isinstance(statement, Switch):
                    for case in statement.cases:
                        yield from assignments(case[1])

        found = {
            id(assignment.lhs): assignment.lhs
            for assignment in assignments(self.fragment.statements.get("sync", ()))
            if assignment.rhs is value and isinstance(assignment.lhs, Signal)
        }
        if len(found) != 1:
            raise InputError(f"{value!r} must be stored in exactly one register, not {len(found)}")
        (register,) = found.values()
        return register

    def row(self, path: str, addr: Value, width: int, *, name: str) -> Signal:
        """Return the present contents of a memory's row, by an added asynchronous read port.

        Parameters
        ----------
        path
            Names of submodules and of the memory, joined by dots.
        addr
            Row; as wide as the memory's addresses.
        width
            Bits of a row.
        name
            Name of the returned signal.
        """
        fragment, memory = self._part(path)
        contents = Signal(width, name=name)
        fragment.find_subfragment(memory).read_port(
            domain="comb", addr=addr, data=contents, en=Const(1), transparent_for=()
        )
        return contents

    def forwarding_row(self, path: str, number: int, width: int, depth: int, *, name: str) -> Value:
        """Return the present contents of a row of a `ForwardingMemory`.

        Parameters
        ----------
        path
            Names of submodules up to it, joined by dots.
        number
            Of the row.
        width, depth
            Its bits and rows.
        name
            Names of signals begin with it.
        """
        addr, small = Const(number, range(depth)), width * depth <= SMALL_BITS
        return Cat(
            self.row(
                f"{path}.{'rows' if small else f'piece{start}'}", addr,
                width if small else min(PIECE, width - start), name=f"{name}_{start}",
            )
            for start in range(0, width, width if small else PIECE)
        )  # fmt: skip

    def ports(self, path: str) -> tuple[Value, Value, Value]:
        """Return the row that a memory reads, the row that it writes, and whether it does.

        These are of its own ports; it must have one of each.

        Parameters
        ----------
        path
            Names of submodules and of the memory, joined by dots.
        """
        fragment, memory = self._part(path)
        found = fragment.find_subfragment(memory)
        (read,), (write,) = found._read_ports, found._write_ports  # there is no public way
        return read._addr, write._addr, write._en
