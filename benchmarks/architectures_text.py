"""The page of architectures: how many pass, what fails for which reason, and what stays outside."""

from __future__ import annotations

import re
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.markdown import percent, table

Row = dict[str, Any]
_SHOWN_NAMES = 6
UNTRIED = "not tried"
"""Stage of what nobody has tried yet."""

INTRODUCTION = """# Architectures that users bring

Classification models of torchvision, all of them, and names of timm drawn at random before any was
tried (`benchmarks/timm_names.txt`; which draw, its test says). Of each architecture:

* Its **layers** are found and counted at the size of images that its library gives,
  {estimated_batch} images (`golden.networks.survey`, on tensors without values), and a training
  step is **estimated** in analytic mode on the preset `{config}`, by SWAT and by ReSprop at
  {sparsity_percent:g} %: all that `gscn estimate` writes, a step with everything among it where the
  compiler of whole steps has a place for all of the network. Each may take
  {most_estimate_seconds:g} s of a processor, of which compiling machine code, once for all, is no
  part.
* It is **converted**, takes one **training step** by each of {methods}, in float32 on random
  images, with all that `gscn.trace` does by default, and the step is **traced**. The mini-batch has
  {trained_batch} images of {small} pixels; where that fails, of {larger}; where that fails too, of
  the architecture's own size. All layers compute; recorded are a layer of each shape, at most
  {traced_layers} of them and {traced_mib} MiB. From {large_millions} million parameters on, weights
  of equal shape have the same values and the same memory, so that billions of them fit; all
  products are computed. ReSprop, as published for convolutions alone, is asked for linear layers
  (`linear_layers="sparse"`) where a network has no other.

Each runs in a process of its own with limits of memory and time, so that one that dies is one row.
"""


def summary(rows: Iterable[Row]) -> list[Row]:
    """Return how many architectures of each library pass, by stage."""
    found = []
    by_library = defaultdict(list)
    for row in rows:
        by_library[row["spec"].partition(":")[0]].append(row)
    for library, ones in by_library.items():
        found.append(
            {
                "library": library,
                "listed": len(ones),
                "tried": sum(all(p["stage"] != UNTRIED for p in problems(one)) for one in ones),
                "estimated": sum("problem" not in one["measured"] for one in ones),
                "trained": sum("problem" not in one["trained"] for one in ones),
                "passed": sum(not problems(one) for one in ones),
            }
        )
    return found


def problems(row: Row) -> list[Row]:
    """Return what failed of an architecture."""
    return [row[part]["problem"] for part in ("measured", "trained") if "problem" in row[part]]


def reason(problem: Mapping[str, Any]) -> str:
    """Return what is the same in what fails alike: without names, numbers and what follows."""
    text = re.sub(r"\b(module|layer|layers|model) [^\s:,;]+", r"\1 ...", problem["text"])
    text = re.sub(r"\d+([.x]\d+)*", "N", text).split(";")[0]
    return f"{problem['stage']}: {text[:160]}"


def _failures(rows: Iterable[Row]) -> str:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for problem in problems(row):
            if problem["stage"] != UNTRIED:
                by_reason[reason(problem)].append(row["spec"])
    if not by_reason:
        return "None fails.\n"
    cells = []
    for why, specs in sorted(by_reason.items(), key=lambda pair: -len(pair[1])):
        shown = ", ".join(specs[:_SHOWN_NAMES]) + (" ..." if len(specs) > _SHOWN_NAMES else "")
        cells.append((str(len(specs)), why.replace("|", "/"), shown))
    return table(["architectures", "stage and reason", "which"], cells) + "\n"


def _commits(rows: Iterable[Row]) -> str:
    """Return after which commits how many trials ran: not all are tried anew for each."""
    counts = Counter(
        row[part].get("commit") or "an unknown commit"
        for row in rows
        for part in ("measured", "trained")
        if row[part].get("problem", {}).get("stage") != UNTRIED
    )
    listed = ", ".join(f"{count} ran after {commit}" for commit, count in counts.most_common())
    text = f"Layers with estimates, and steps, are trials of their own: {listed}."
    return textwrap.fill(text, 100) + "\n"


def outside(row: Row) -> float | None:
    """Return the share of MACs in no layer; None if nobody knows."""
    shares = [one["share"] for one in row["measured"].get("omitted", ())]
    if "macs" not in row["measured"] or None in shares:
        return None
    return sum(shares)


def _outside(rows: list[Row]) -> str:
    """Return the table of what is in no layer, by kind: in how many architectures, its share."""
    by_kind: dict[str, list[float | None]] = defaultdict(list)
    for row in rows:
        for one in row["measured"].get("omitted", ()):
            by_kind[one["kind"]].append(one["share"])
    cells = []
    for kind, shares in sorted(by_kind.items(), key=lambda pair: -len(pair[1])):
        known = sorted(share for share in shares if share is not None)
        cells.append(
            (
                kind,
                str(len(shares)),
                percent(known[len(known) // 2]) if known else "no formula",
                percent(known[-1]) if known else "no formula",
            )
        )
    return table(["in no layer", "architectures", "share of MACs, median", "most"], cells)


def _cells(row: Row, batch: int) -> tuple[str, ...]:
    measured, trained = row["measured"], row["trained"]
    share = outside(row)
    swat, resprop = (measured.get(f"estimate {method}", {}) for method in ("swat", "resprop"))
    speedups = (swat.get("speedup"), resprop.get("speedup"), swat.get("everything"))
    return (
        row["spec"],
        f"{measured['parameters'] / 1e6:.1f}" if "parameters" in measured else "-",
        str(measured.get("layers", "-")),
        f"{measured['macs'] / batch / 1e9:.2f}" if "macs" in measured else "-",
        "-" if share is None else percent(share),
        *("-" if one is None else f"{one:.2f}" for one in speedups),
        str(trained.get("image_size", "-")),
        "; ".join(dict.fromkeys(one["stage"] for one in problems(row))) or "passes",
    )


def render(data: Mapping[str, Any]) -> str:
    """Return the page as Markdown."""
    rows = data["rows"]
    heads = ("library", "listed", "tried", "layers and estimate", "step and trace by all", "pass")
    counts = [
        (
            one["library"],
            str(one["listed"]),
            str(one["tried"]),
            str(one["estimated"]),
            str(one["trained"]),
            f"{one['passed']} ({percent(one['passed'] / one['listed'])})",
        )
        for one in summary(rows)
    ]
    slowest = max(
        (one["seconds"], row["spec"])
        for row in rows
        for key, one in row["measured"].items()
        if key.startswith("estimate ")
    )
    return "\n".join(
        (
            INTRODUCTION.format(**data["limits"]),
            f"{table(heads, counts)}\n",
            f"The slowest estimate took {slowest[0]:.1f} s ({slowest[1]}).\n",
            _commits(rows),
            "## Failures by reason\n",
            _failures(rows),
            "## What is in no layer\n",
            "Products that the accelerator is not given, by kind, with their share of the",
            "multiply-accumulates of a forward pass in the architectures that have them.\n",
            f"{_outside(rows)}\n",
            "## Each architecture\n",
            "Speedups are of the training step over the dense array of as many multipliers,",
            "convolutions and linear layers alone; with everything, of a whole step, where a dash",
            "says that its compiler refuses the network.\n",
            table(
                (
                    *("architecture", "million parameters", "layers", "GMAC per image"),
                    *("in no layer", "SWAT", "ReSprop", "SWAT with everything"),
                    *("pixels of the step", "result"),
                ),
                [_cells(row, data["limits"]["estimated_batch"]) for row in rows],
            ),
        )
    )
