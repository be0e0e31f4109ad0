"""What other commands measured, as they wrote it: the figures of pages of docs/, shipped with this.

The report copies no number and reads no page: RTL cycles, areas, errors of the models and times
beside a GPU come from the JSON from which the pages were rendered (`benchmarks.docs`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gscn.errors import InputError

FOLDER = Path(__file__).with_name("figures")
"""Of the files, which are in the package."""
GPU_FIGURES = ("terms", "published", "backward", "nominal", "batches", "sizes")
Figures = Mapping[str, Any]
"""What a page shows, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Documents:
    """Figures of the pages that the report takes from."""

    utilization: Figures
    area: Figures
    gpu: Figures
    errors: Figures | None
    """Of docs/results/model-error.md; None if there is no such file."""

    @classmethod
    def read(cls, folder: Path = FOLDER) -> Documents:
        """Read them from a folder.

        Raises
        ------
        InputError
            utilization.json, area.json or gpu.json cannot be read, or has not what is expected.
        """
        errors = folder / "model-error.json"
        return cls(
            utilization=read_figures(folder / "utilization.json", ("passes",)),
            area=read_figures(folder / "area.json", ("reports",)),
            gpu=read_figures(
                folder / "gpu.json",
                ("terms", "published", "backward", "nominal", "batches", "sizes"),
            ),
            errors=read_figures(errors, ("steps",)) if errors.exists() else None,
        )


def read_figures(path: Path, names: tuple[str, ...]) -> Figures:
    """Return what a file of figures shows.

    Parameters
    ----------
    path
        Of the file.
    names
        Figures that must be there.

    Raises
    ------
    InputError
        The file cannot be read, or lacks one of the figures.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"figures {path} must be readable: {error}") from error
    data = record.get("data") if isinstance(record, dict) else None
    if not isinstance(data, dict) or (missing := [name for name in names if name not in data]):
        raise InputError(
            f"figures {path} must have {', '.join(missing if isinstance(data, dict) else names)}"
        )
    return data
