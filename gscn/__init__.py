"""Shared vocabulary of the accelerator: configuration, formats, shapes, records, counters.

`gscn.trace` records a training step of any model, `gscn.analyse` estimates any model; each is
imported when first used, with torch.
"""

from __future__ import annotations

import importlib
from typing import Any

_CALLS = {"analyse": "gscn.command.analysis", "trace": "gscn.golden.traces.model_step"}
"""Where the calls for users are, by name."""


def __getattr__(name: str) -> Any:
    if name in _CALLS:
        return getattr(importlib.import_module(_CALLS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_CALLS])
