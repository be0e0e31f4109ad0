"""Registers of an array as `gscn.registers` describes them, with the functional model behind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gscn.array import ArrayConfig
from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.emulator.passes import run_passes
from gscn.pass_errors import PassError
from gscn.register import Access, Top
from gscn.registers import NO_PASS, register, registers_of, reset_values


class RegisterModel:
    """An array that takes some looks at its status to end a list; says what no driver may do."""

    def __init__(
        self,
        config: ArrayConfig,
        memory_bytes: int,
        *,
        looks: int = 3,
        top: Top = Top.ARRAY,
        stops: Sequence[int] = (),
        attributes: AxiAttributes = DEFAULT_AXI,
        origin: int = 0,
    ):
        self.config = config
        self.top = top
        self.attributes = attributes
        self.origin = origin
        """Address of the memory's first byte on the bus."""
        self.base = 0
        """What the list under way was started with."""
        self.by_offset = {one.offset: one for one in registers_of(top)}
        self.stops = list(stops)
        """Numbers that the list under way stops with, one after the other."""
        self.memory = np.zeros(memory_bytes, dtype=np.uint8)
        self.looks = looks
        self.left = 0
        self.values = dict(reset_values(config, top, attributes))
        self.counters = {}
        self.wrong: list[str] = []
        self.told: list[str] = []
        """Starts, clears and aborts, and what hooks are told, in order."""
        self.hangs = False

    @property
    def interrupt(self) -> bool:
        return bool(self.values["INTERRUPT_ENABLE"] & self.values["INTERRUPT_STATUS"])

    def read32(self, offset: int) -> int:
        one = self.by_offset.get(offset)
        if one is None or not one.readable:
            self.wrong.append(f"read of {offset:#x}")
            return 0
        if one.name == "STATUS":
            self._look()
        if one.name in ("COUNTER_LO", "COUNTER_HI"):
            return self._counter(one.name)
        return self.values[one.name]

    def write32(self, offset: int, value: int) -> None:
        one = self.by_offset.get(offset)
        if one is None or not one.writable:
            self.wrong.append(f"write of {offset:#x}")
            return
        if value & ~one.mask:
            self.wrong.append(f"{one.name} has no bits {value & ~one.mask:#x}")
        if one.access is Access.CLEAR:
            self.values[one.name] &= ~value
        elif one.name == "CONTROL":
            self._control(value)
        elif one.name == "INTERRUPT_TEST":
            self.values["INTERRUPT_STATUS"] |= value
        else:
            self.values[one.name] = value

    def _counter(self, name: str) -> int:
        if name == "COUNTER_LO":
            self.kept = self.counters.get(self.values["COUNTER_SELECT"], 0)
            return self.kept & 0xFFFF_FFFF
        return self.kept >> 32

    def _long(self, name: str) -> int:
        return self.values[f"{name}_LO"] | self.values[f"{name}_HI"] << 32

    def _set(self, name: str, field: str, value: int) -> None:
        found = register(name).field(field)
        self.values[name] = self.values[name] & ~found.mask | value << found.low

    def _control(self, value: int) -> None:
        control = register("CONTROL")
        if value & control.field("clear").mask:
            self.told.append("clear")
            kept = [one for one in self.by_offset.values() if one.access is Access.READ_WRITE]
            old = {one.name: self.values[one.name] for one in kept}
            self.values = {**reset_values(self.config, self.top, self.attributes), **old}
            self.left = self.looks
            self.ending = None
        elif value & control.field("answer").mask:
            anew = value & control.field("anew").mask
            self.told.append(("answer", self.values["STOP"], anew and self._long("ANSWER_ADDR")))
            self.values["STOP"] = 0
            self._set("STATUS", "stopped", 0)
        elif value & control.field("abort").mask:
            self.told.append("abort")
            if self.left:
                self.ending = PassError.ABORTED
        else:
            self.told.append("start")
            if self.left:
                self.wrong.append("start of a busy array")
            self.base = self._long("MEMORY_BASE")
            self.ending = PassError.NONE
            self._set("ERROR", "code", 0)
            self.left = self.looks
        self._set("STATUS", "busy", 1)

    def _look(self) -> None:
        if not self.left or self.values.get("STOP"):
            return
        if self.stops and self.ending is PassError.NONE:
            self.values["STOP"] = self.stops.pop(0)
            self._set("STATUS", "stopped", 1)
            self._set("INTERRUPT_STATUS", "stop", 1)
            return
        self.left -= 0 if self.hangs and self.ending is PassError.NONE else 1
        if self.left:
            return
        self._set("STATUS", "busy", 0)
        if self.ending is None:
            return
        error, number = self.ending, NO_PASS
        if error is PassError.NONE:
            error, number = self._run()
        self._set("ERROR", "code", int(error))
        self.values["ERROR_PASS"] = number
        self._set("INTERRUPT_STATUS", "error" if error else "done", 1)

    def _run(self) -> tuple[PassError, int]:
        address = self._long("PASSES_ADDR")
        memory = self.memory[self.base - self.origin :]
        ran = run_passes(self.config, memory, address, self.values["PASS_COUNT"], memory.size)
        memory[:] = ran.memory
        self._set("STATUS", "saturated", int(ran.saturated))
        self._set("STATUS", "nonfinite", int(ran.nonfinite))
        return ran.error, NO_PASS if ran.error is PassError.NONE else ran.error_pass
