"""Prove every claim, print a table, and keep the counterexamples.

`python -m formal.run` proves all; `--only ReadArbiter` what holds that text in its name;
`--docs docs/results/proofs.md` writes down what was proved, if everything was.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from formal import sby
from formal.catalog import IN_USE, REACHABLE, SUBJECTS, TASKS, Task
from gscn.errors import InputError

HEADER = """\
# What is proved

Written by `make prove-docs`; `make prove` proves all of it again, with {solver} through SymbiYosys.

- **Induction**: the claim holds in every cycle after reset, for inputs of any length that keep to
  the assumptions, at each of the sizes proved. They differ in whatever a claim could depend on:
  bursts shorter and longer than the 64 bytes of alignment, powers of two and not, one of a thing.
- **Bounded**: the claim holds in the first cycles after reset; beyond them it is not proved.
- **Reached**: there is a run from reset on that brings about the busy state named by the checker,
  so the assumptions contradict neither each other nor the purpose.

Memories start with any contents. The claims are stated in `formal/`, apart from the components;
`tests/formal/` shows that each claim fails on a component with a planted fault, and
`tests/mutation/` that few random changes of a component's source pass its tests and its proofs.

Properties of AXI4-Lite that others wrote hold as well: `faxil_slave` of
[ZipCPU/wb2axip](https://github.com/ZipCPU/wb2axip) (commit `df8e764`) at a `RegisterFile` of an
array and of a machine, and `faxil_master` at an `AxiManager` of bursts of one beat (128 bits, 4
under way), whose `len` and ID are 0 and `last` 1: all of their assertions, by induction with k = 6,
with a reset at any time and of any length, and their limits of 12 cycles. Assumed is what their
modules assume of the other side, and of the array that it asks for single beats, aligned. Five
planted faults break them within 20 cycles. That repository's AXI4 properties are an excerpt that
does not compile, so that bursts of several beats are left to the claims below. With a checkout,
`GSCN_WB2AXIP=FOLDER pytest -m slow tests/formal/test_public_properties.py` proves it again.
"""


def directory(task: Task, root: Path) -> Path:
    """Return where the files of a task go."""
    return root / re.sub(r"\W+", "-", task.name).strip("-")


def prove(task: Task, root: Path) -> sby.Outcome:
    """Run one task."""
    return sby.run(task.build(), mode=task.mode, depth=task.depth, directory=directory(task, root))


def row(task: Task, outcome: sby.Outcome) -> str:
    """Return a line of the table: property, mode, depth, solver, seconds, result."""
    return (
        f"{task.name:<76} {task.mode:<5} {task.depth:>5} {sby.SOLVER:<6} "
        f"{outcome.seconds:>7.1f} {outcome.status}"
    )


def document(tasks: Iterable[Task]) -> str:
    """Return the documentation of tasks that have all passed.

    Parameters
    ----------
    tasks
        The tasks; those of a subject follow each other.

    Returns
    -------
    str
        Markdown: per component its assumptions, then per claim the sizes and how it was shown.
    """
    tasks = tuple(tasks)
    parts = [HEADER.format(solver=sby.SOLVER)]
    for component in dict.fromkeys(task.subject.component for task in tasks):
        own = [task for task in tasks if task.subject.component is component]
        doc = (own[0].subject.checker.__doc__ or "").strip().splitlines()
        parts.append(f"\n## {component.__name__}\n\n" + "\n".join(line.strip() for line in doc))
        subjects = list(dict.fromkeys(task.subject.name for task in own))
        parts.append("\n\n| sizes proved | sizes in use |\n|---|---|\n| ")
        parts.append("; ".join(s.split(" (", 1)[1][:-1] for s in subjects))
        parts.append(f" | {IN_USE[component]} |\n\n| claim | | shown by |\n|---|---|---|\n")
        claims = own[0].subject.checker.CLAIMS | {None: REACHABLE}
        for claim, statement in claims.items():
            same = [t for t in own if (claim in t.claims if claim else not t.claims)]
            depths = ", ".join(dict.fromkeys(str(task.depth) for task in same))
            how = {
                "prove": f"induction, k = {depths}",
                "bmc": f"bounded: the first {depths} cycles",
                "cover": f"reached within {depths} cycles",
            }[same[0].mode]
            parts.append(f"| {claim or 'reachable'} | {statement} | {how} |\n")
    return "".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Run the prover; return 0 if every claim holds, 1 if not, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m formal.run",
        description="Prove the claims about the components.",
        epilog="example: python -m formal.run --only Accumulator --jobs 1",
    )
    parser.add_argument("--only", default="", help="text in `component (sizes): claim`")
    parser.add_argument("--jobs", type=int, default=2, help="proofs at the same time")
    parser.add_argument("--out", type=Path, default=Path("build/formal"), help="folder for files")
    parser.add_argument("--docs", type=Path, help="write what was proved to this file")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    tasks = [task for task in TASKS if options.only in task.name]
    try:
        if not tasks:
            names = ", ".join(dict.fromkeys(s.component.__name__ for s in SUBJECTS))
            raise InputError(f"--only must be part of a name of {names}, not {options.only!r}")
        if options.jobs < 1:
            raise InputError(f"--jobs must be at least 1, not {options.jobs}")
        if options.docs and options.only:
            raise InputError("--docs must come without --only: it writes down every proof")
        failures = 0
        print(f"{'property':<76} mode  depth solver seconds result")
        with ThreadPoolExecutor(options.jobs) as pool:
            outcomes = pool.map(lambda task: prove(task, options.out), tasks)
            for task, outcome in zip(tasks, outcomes, strict=True):
                print(row(task, outcome), flush=True)
                if outcome.status != "PASS":
                    failures += 1
                    print(f"    log {outcome.log}, trace {outcome.trace}")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(tasks) - failures} of {len(tasks)} hold")
    if options.docs and not failures:
        options.docs.write_text(document(tasks), encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
