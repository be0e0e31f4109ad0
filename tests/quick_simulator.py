"""Amaranth's simulator with less work for the same values; tests of components live in it.

What a testbench sets is settled when somebody looks, not at each of its assignments; a process does
not call a signal that stays as it is; and what was compiled is not compiled again.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import re
from collections.abc import Iterator
from types import CodeType

from amaranth.hdl import Value
from amaranth.hdl._ast import Signal, Slice
from amaranth.lib import wiring

# what takes long in them has no public names
from amaranth.sim import Simulator, _async, _pyrtl, pysim

_SLOT = re.compile(r"slots\[(\d+)\]")
_UPDATE = re.compile(r"^( +)(s\d+)\.update\((next_\d+), (-?\d+)\)$", re.MULTILINE)


def quicker(source: str) -> str:
    """Return the text of a process with signals as its own variables, called only if they change.

    A signal whose next value is equal has nothing to do, whatever its mask.
    """
    numbers = sorted(set(_SLOT.findall(source)), key=int)
    own = ", ".join(f"s{number}=slots[{number}]" for number in numbers)
    head, body = source.split("\n", 1)
    body = _SLOT.sub(r"s\1", body)
    body = _UPDATE.sub(r"\1if \2.next != \3: \2.update(\3, \4)", body)
    return f"{head.replace('()', f'({own})')}\n{body}"


@functools.lru_cache(maxsize=4096)
def _compiled(source: str) -> CodeType:
    return builtins.compile(quicker(source), "<process>", "exec")


def _compile(source: str, filename: str, mode: str) -> CodeType:
    if source.startswith("def run():\n"):
        return _compiled(source)
    return builtins.compile(source, filename, mode)


def _is_plain(value: Value) -> bool:
    """Return whether the place that is assigned to follows from no other signal."""
    while isinstance(value, Slice):
        value = value.value
    return isinstance(value, Signal)


def _settle(engine: pysim.PySimEngine) -> None:
    """Let what testbenches set take its effects, if there is any."""
    if engine._state.pending:
        engine.step_design()


def install() -> None:
    """Have all simulators of this process be so."""
    get_value, set_value = pysim.PySimEngine.get_value, pysim.PySimEngine.set_value

    def get(self: pysim.PySimEngine, expr: object) -> int:
        _settle(self)
        return get_value(self, expr)

    def put(self: pysim.PySimEngine, expr: object, value: int) -> None:
        if not _is_plain(Value.cast(expr)):
            _settle(self)
        set_value(self, expr, value)

    def advance(self: pysim.PySimEngine) -> bool:
        self.step_design()
        converged = False
        while not converged:
            converged = True
            for testbench in self._testbenches:
                if testbench.runnable:
                    testbench.runnable = False
                    testbench.run()
                    converged = False
            _settle(self)
        self._state.timeline.advance()
        return any(one.critical for one in (*self._processes, *self._testbenches))

    _pyrtl.compile = _compile
    pysim.PySimEngine.get_value = get
    pysim.PySimEngine.set_value = put
    pysim.PySimEngine.advance = advance
    # those of processes settle nothing either
    _async.TestbenchContext.set = _async.ProcessContext.set


@contextlib.contextmanager
def simulator_of(component: wiring.Component, period: float) -> Iterator[Simulator]:
    """Yield a simulator of a component with a clock, as after a reset, and without a testbench.

    Making one takes longer than most tests in it, so that the component keeps it.
    """
    own = vars(component)
    if "_simulator" not in own:
        simulator = Simulator(component)
        simulator.add_clock(period)
        # Who waits for a signal when no testbench does.
        waiting = [list(slot.wakers) for slot in simulator._engine._state.slots]
        own["_simulator"] = simulator, waiting
    simulator, waiting = own["_simulator"]
    engine = simulator._engine
    try:
        yield simulator
    finally:
        engine._testbenches.clear()
        engine._active_triggers.clear()
        # Signals that only testbenches know come last.
        for number, slot in enumerate(engine._state.slots):
            slot.wakers[:] = waiting[number] if number < len(waiting) else []
        simulator.reset()
