"""Architectures that anybody may bring: what converts, trains a step, is traced and estimated.

`python -m benchmarks.architectures` tries what has not been tried of torchvision's classification
models and of 200 of timm's (`timm_names.txt`), each in a process of its own, and writes a line for
each to a file; what was stopped goes on. `--again` tries what failed anew. Shown on
docs/results/architectures.md (`benchmarks.docs`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import resource
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks import architectures_text, pages
from benchmarks.architectures_text import UNTRIED
from benchmarks.pages import ROOT, Page
from gscn.system.sources import source_digest

NAMES = Path(__file__).with_name("timm_names.txt")
ROOMS = ("gscn", "lowering", "golden", "perf")
"""From whose sources results follow."""
MOST_BYTES = 12 << 30
"""Of memory that a process may take for its data."""
MOST_CPU_SECONDS = 600
LARGE = 100_000_000
"""Parameters from which weights of equal shape share their memory in the training step."""
MOST_SECONDS = 3600
"""For a machine that has other work."""

PRELOADED = "benchmarks.architecture_preload"

Row = dict[str, Any]


def specs() -> list[str]:
    """Return the architectures, as `golden.networks.sources` names them."""
    from gscn.golden.networks import libraries

    models = libraries.torchvision().models
    own = [f"torchvision:{name}" for name in models.list_models(module=models)]
    drawn = NAMES.read_text(encoding="utf-8").split()
    return [*own, *(f"timm:{name}" for name in drawn)]


def results_path() -> Path:
    """Return the file of results: another one whenever sources change."""
    return ROOT / "build" / f"architectures-{source_digest(ROOMS)}.jsonl"


def known(path: Path) -> dict[str, Row]:
    """Return the rows of a file by `spec` and part; later ones replace earlier ones."""
    if not path.exists():
        return {}
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {f"{row['part']} {row['spec']}": row for row in rows}


def try_all(path: Path, wanted: Sequence[str], *, again: bool = False) -> None:
    """Try what is missing, training steps of large architectures last, the smallest first."""
    sizes = {}
    for spec in wanted:
        row = _try(path, "measured", spec, again)
        sizes[spec] = row.get("parameters", LARGE)
        if sizes[spec] < LARGE:
            _try(path, "trained", spec, again, sizes[spec] >= LARGE)
    for spec in sorted((one for one in wanted if sizes[one] >= LARGE), key=sizes.__getitem__):
        _try(path, "trained", spec, again, sizes[spec] >= LARGE)


def _try(path: Path, part: str, spec: str, again: bool, *args: Any) -> Row:
    """Return the row of a part of an architecture, tried now if it has none."""
    row = known(path).get(f"{part} {spec}")
    if row is not None and not (again and "problem" in row):
        return row
    row = {"part": part, "spec": spec, "commit": pages.commit(), **apart(part, spec, *args)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    problem = row.get("problem")
    sys.stderr.write(f"{part} {spec}: {problem['text'] if problem else 'good'}\n")
    return row


def apart(part: str, *args: Any) -> Row:
    """Return the row of `benchmarks.architecture_trial` that a process with limits computes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    ours, theirs = context.Pipe(duplex=False)
    limits = (MOST_BYTES, MOST_CPU_SECONDS)
    process = context.Process(target=_limited, args=(theirs, limits, part, args), daemon=True)
    process.start()
    theirs.close()
    row: Row | None = None
    if ours.poll(MOST_SECONDS):
        with contextlib.suppress(EOFError):
            row = ours.recv()
    process.kill() if row is None else None
    process.join()
    if row is not None:
        return row
    ended = f"was ended by signal {-process.exitcode}" if process.exitcode < 0 else "ended"
    return {"problem": {"stage": part, "text": f"the process {ended}", "where": ""}}


def _limited(answer: Connection, limits: tuple[int, int], part: str, args: Sequence[Any]) -> None:
    import torch

    from benchmarks import architecture_trial

    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_DATA, (limits[0], limits[0]))
    resource.setrlimit(resource.RLIMIT_CPU, (limits[1], limits[1] + 5))
    row = getattr(architecture_trial, part)(*args)
    peak = resource.getrusage(resource.RUSAGE_SELF)
    row["cpu_seconds"] = peak.ru_utime + peak.ru_stime
    answer.send(row)


def make() -> Row:
    """Return the rows of all architectures, trying those that have not been tried."""
    path = results_path()
    try_all(path, specs())
    return collected(path)


def collected(path: Path) -> Row:
    """Return what the page shows, of what has been tried; the rest is said to be untried."""
    from benchmarks.architecture_trial import LIMITS

    rows, wanted = known(path), specs()
    parts = ("measured", "trained")
    none = {"problem": {"stage": UNTRIED, "text": UNTRIED, "where": ""}}
    return {
        "limits": {**LIMITS, "large_millions": LARGE // 10**6},
        "rows": [
            {"spec": spec, **{part: rows.get(f"{part} {spec}", none) for part in parts}}
            for spec in wanted
        ],
        "seconds": sum(row.get("cpu_seconds", 0.0) for row in rows.values()),
    }


def quotes(data: Row) -> dict[str, str]:
    """Return how many of each library pass, as texts quote it."""
    found = {}
    for one in architectures_text.summary(data["rows"]):
        found[f"{one['library']}-tried"] = str(one["tried"])
        found[f"{one['library']}-passed"] = str(one["passed"])
    return found


PAGE = Page(
    name="architectures",
    make=make,
    render=architectures_text.render,
    parts=("estimates", "grouped_estimates"),
    quotes=quotes,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what the command line names, by default all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.architectures", description=__doc__)
    parser.add_argument("specs", nargs="*", metavar="SPEC", help="by default all")
    parser.add_argument("--again", action="store_true", help="what failed, too")
    parser.add_argument(
        "--page", action="store_true", help="write the page from what has been tried, and end"
    )
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="by default one for the sources as they are"
    )
    args = parser.parse_args(arguments)
    path = args.results or results_path()
    if args.page:
        data = collected(path)
        pages.write(PAGE, data, pages.provenance(PAGE, data["seconds"]))
        return 0
    try_all(path, args.specs or specs(), again=args.again)
    return 0


if __name__ == "__main__":
    sys.exit(main())
