"""Arguments of a table that is trained in seconds."""

from __future__ import annotations

TINY = ["--networks", "digits", "--methods", "dense", "resprop-90", "--seeds", "2", "--epochs", "2"]
TINY += ["--iterations-per-epoch", "4"]
