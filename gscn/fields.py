"""Fields of a configuration as text, as a mapping, as a digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Self

from gscn.errors import raise_problems


class Fields:
    """What a configuration, a frozen dataclass of whole numbers and texts, can do by its fields."""

    __slots__ = ()

    def to_dict(self) -> dict[str, int | str]:
        """Every field by name, in order of declaration."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the configuration's canonical JSON."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def from_dict(cls, fields: dict[str, int | str]) -> Self:
        """Build from a mapping; raise `InputError` naming unknown fields."""
        known = {f.name for f in dataclasses.fields(cls)}
        raise_problems(
            "configuration",
            [
                f"unknown field {name!r} (known: {', '.join(sorted(known))})"
                for name in fields
                if name not in known
            ],
        )
        return cls(**fields)

    def with_overrides(self, assignments: list[str]) -> Self:
        """Return a copy with `field=value` strings applied; raise `InputError` for bad ones."""
        fields = self.to_dict()
        problems = []
        for assignment in assignments:
            name, separator, text = assignment.partition("=")
            if not separator:
                problems.append(f"override must read field=value, not {assignment!r}")
            elif name not in fields:
                problems.append(f"unknown field {name!r} (known: {', '.join(sorted(fields))})")
            elif isinstance(fields[name], int):
                try:
                    fields[name] = int(text, 0)
                except ValueError:
                    problems.append(f"{name} must be a whole number, not {text!r}")
            else:
                fields[name] = text
        raise_problems("configuration", problems)
        return type(self).from_dict(fields)
