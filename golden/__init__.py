"""PyTorch golden models: sparse-training layers, networks, training, traces, the integer oracle.

The names below turn any PyTorch model into one that is trained sparsely
(docs/guides/sparse-training.md). They are imported when first used, because torch is slow to import
and parts of this package do without.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gscn.golden.methods.conversion import forget_gradients, sparsify, unsparsify
    from gscn.golden.methods.coverage import Coverage, coverage
    from gscn.golden.methods.dst import dst_penalty
    from gscn.golden.methods.options import DST, SWAT, Dense, ReSprop, SWATReSprop
    from gscn.golden.methods.schedule import (
        Schedule,
        begin_iteration,
        follow_scaler,
        update_budgets,
    )
    from gscn.golden.methods.statistics import LayerSparsity, sparsity_report
    from gscn.golden.methods.watching import SparsityWarning

__all__ = [
    "DST",
    "SWAT",
    "Coverage",
    "Dense",
    "LayerSparsity",
    "ReSprop",
    "SWATReSprop",
    "Schedule",
    "SparsityWarning",
    "begin_iteration",
    "coverage",
    "dst_penalty",
    "follow_scaler",
    "forget_gradients",
    "sparsify",
    "sparsity_report",
    "unsparsify",
    "update_budgets",
]

_MODULES = {
    "conversion": ("forget_gradients", "sparsify", "unsparsify"),
    "coverage": ("Coverage", "coverage"),
    "dst": ("dst_penalty",),
    "options": ("DST", "SWAT", "Dense", "ReSprop", "SWATReSprop"),
    "schedule": ("Schedule", "begin_iteration", "follow_scaler", "update_budgets"),
    "statistics": ("LayerSparsity", "sparsity_report"),
    "watching": ("SparsityWarning",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"gscn.golden.methods.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
