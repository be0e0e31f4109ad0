"""A component with a planted fault, and the claim that must fail on it."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import types
from dataclasses import dataclass

from amaranth.lib.wiring import Component

from formal.catalog import SUBJECTS, Subject


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """A change to the source of a component."""

    component: str
    claim: str
    old: str
    """Text that occurs exactly once in the component's module."""
    new: str
    size: int = 0
    """Which of the component's subjects shows it: what the first cannot show needs its own size."""

    @property
    def name(self) -> str:
        """Component, claim, size and the beginning of the fault."""
        at = f" at size {self.size}" if self.size else ""
        return f"{self.component}: {self.claim}{at}: {self.new[:40]}"

    def subject(self) -> Subject:
        """Return the component's subject, built from the changed source."""
        own = [s for s in SUBJECTS if s.component.__name__ == self.component]
        subject = own[self.size]
        changed = planted(subject.component, self.old, self.new)
        return dataclasses.replace(subject, component=changed)


def planted(component: type[Component], old: str, new: str) -> type[Component]:
    """Return a component of a module in whose source a text, which occurs once, is another."""
    module = importlib.import_module(component.__module__)
    source = inspect.getsource(module)
    found = source.count(old)
    assert found == 1, f"{old!r} must occur once in {module.__name__}, not {found} times"
    changed = types.ModuleType(f"{module.__name__}_with_a_fault")
    exec(source.replace(old, new), vars(changed))
    return getattr(changed, component.__name__)


def of(component: str, *faults: tuple[str, str, str], size: int = 0) -> list[Mutant]:
    """Return mutants of a component: of each fault its claim, the text and what is in its place."""
    return [
        Mutant(component=component, claim=claim, old=old, new=new, size=size)
        for claim, old, new in faults
    ]
