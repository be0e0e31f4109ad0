"""Change a proved component at random, and see whether its unit tests or its proofs notice.

`python -m tests.mutation.run --component WriteArbiter --count 20` prints one line per mutant. Of
the mutants in random order those count that can be elaborated and are other hardware than the
component at one of the sizes proved. Each runs against the unit tests of the component and, if
they pass, against its proofs, each in a process of its own with a limit of processor time.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import hashlib
import importlib.machinery
import importlib.util
import json
import multiprocessing
import os
import re
import resource
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path

# What every mutant needs is imported once; nothing of `hw` or `formal` may be among it.
import amaranth.back.rtlil
import amaranth.hdl
import amaranth.lib.fifo
import amaranth.lib.memory
import amaranth.lib.stream
import amaranth.sim
import pytest

from tests.mutation.components import TARGETS, Target
from tests.mutation.mutate import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
SURVIVORS = Path(__file__).with_name("survivors.json")
"""Mutants that live, by component, each with the reason."""
COUNT = 20
SEED = 1
TEST_SECONDS = 120
"""Processor time for the unit tests of one mutant."""
PROOF_SECONDS = 300
"""Processor time of each process of the prover."""
WALL_FACTOR = 10
"""Time on the clock, in multiples of processor time, after which a process is ended."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of a mutant."""

    mutant: str
    by: str
    """`unit tests` or `proofs`, with the size at which they fail; or `nothing`."""
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether anything noticed it."""
        return self.by != "nothing"


def _install(target: Target, source: str) -> None:
    """Make `source` the module that every later import of the component's module gets."""
    spec = importlib.util.find_spec(target.module)
    spec.loader = _Loader(target.module, spec.origin, source)
    module = importlib.util.module_from_spec(spec)
    sys.modules[target.module] = module
    spec.loader.exec_module(module)
    package, _, name = target.module.rpartition(".")
    setattr(sys.modules[package], name, module)


class _Loader(importlib.machinery.SourceFileLoader):
    """Load a module from changed source."""

    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> types.CodeType:
        return compile(self._source, self.path, "exec")


def _apart(work: Callable[..., object], *arguments: object, cpu_seconds: int) -> object:
    """Return what `work` returns in a process of its own, or its failure as text."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child() -> None:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        try:
            answer = work(*arguments)
        except BaseException as error:  # noqa: BLE001 - a mutant may raise anything
            answer = f"{type(error).__name__}: {error}"
        sender.send(answer)

    process = context.Process(target=child)
    process.start()
    sender.close()
    answer: object = "it took too long"
    try:
        if receiver.poll(WALL_FACTOR * cpu_seconds):
            answer = receiver.recv()
    except EOFError:
        pass  # ended by the limit
    finally:
        if process.is_alive() and not receiver.closed:
            process.join(2)
        if process.is_alive():
            os.killpg(process.pid, 9)
        process.join()
    return answer


def _netlists(target: Target, source: str | None) -> list[str] | str:
    """Return digests of the component at all sizes proved, without names of places."""
    if source is not None:
        _install(target, source)
    from formal.catalog import SUBJECTS

    digests = []
    for subject in SUBJECTS:
        if subject.component.__name__ == target.component:
            text = amaranth.back.rtlil.convert(subject.component(**subject.parameters), name="top")
            text = re.sub(r"(?m)^\s*attribute \\src .*$|:\d+", "", text)
            digests.append(hashlib.sha256(text.encode()).hexdigest())
    return digests


def _passes_tests(target: Target, source: str) -> bool:
    _install(target, source)
    os.chdir(ROOT)
    options = ("-q", "-x", "-p", "no:cacheprovider", "-m", "not slow")
    options += ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # imported before, here
    return pytest.main([*options, *target.tests]) == pytest.ExitCode.OK


def _failed_proofs(target: Target, source: str) -> list[str]:
    """Return the first proof that fails, if one does."""
    _install(target, source)
    from formal import sby
    from formal.catalog import SUBJECTS, Task

    with tempfile.TemporaryDirectory(prefix="gscn-mutant-") as name:
        for subject in SUBJECTS:
            if subject.component.__name__ != target.component:
                continue
            together = dataclasses.replace(subject, together=True)
            for claims in together.runs[:-1]:
                task = Task(subject=together, claims=claims)
                try:
                    checker = task.build()
                    amaranth.hdl.Fragment.get(checker, None)
                except Exception as error:  # noqa: BLE001 - a register may be missing, or of another width
                    return [f"not even stated: {type(error).__name__}"]
                outcome = sby.run(
                    checker, mode=task.mode, depth=task.depth, directory=Path(name) / "run"
                )
                if outcome.status in {"FAIL", "UNKNOWN"}:
                    how = "refuted" if outcome.status == "FAIL" else "not proved"
                    return [f"{how} at {subject.sizes}"]
                if outcome.status != "PASS":
                    raise RuntimeError(f"the prover ended with {outcome.status}")
    return []


def judge(target: Target, mutant: Mutant) -> Verdict:
    """Run the unit tests, then the proofs, on one mutant."""
    started = time.monotonic()
    passes = _apart(_passes_tests, target, mutant.source, cpu_seconds=TEST_SECONDS)
    by = "unit tests"
    if passes is True:
        failed = _apart(_failed_proofs, target, mutant.source, cpu_seconds=PROOF_SECONDS)
        by = "nothing"
        if isinstance(failed, list) and failed:
            by = f"proofs ({failed[0]})"
        elif isinstance(failed, str):
            print(f"    undecided: {failed}", flush=True)
    return Verdict(mutant=mutant.name, by=by, seconds=time.monotonic() - started)


def source_of(component: str) -> Path:
    """Return the file of a component's module."""
    return Path(importlib.util.find_spec(TARGETS[component].module).origin)


def run(target: Target, *, count: int, seed: int, skip: int = 0) -> list[Verdict]:
    """Judge mutants until `count` of them were worth it; print each.

    Parameters
    ----------
    target
        The component.
    count
        Mutants to judge: fewer only if there are no more.
    seed
        Of their order.
    skip
        Of them, how many not to judge, from the first.
    """
    path = source_of(target.component)
    original = _apart(_netlists, target, None, cpu_seconds=TEST_SECONDS)
    assert isinstance(original, list), original
    same = ast.unparse(ast.parse(path.read_text(encoding="utf-8")))
    passes = _apart(_passes_tests, target, same, cpu_seconds=TEST_SECONDS)
    assert passes is True, f"the component itself must pass its unit tests: {passes}"
    verdicts: list[Verdict] = []
    found = 0
    seen = {tuple(original)}
    for mutant in mutants(path, target.component, seed):
        if found == count:
            break
        netlists = _apart(_netlists, target, mutant.source, cpu_seconds=TEST_SECONDS)
        if not isinstance(netlists, list) or tuple(netlists) in seen:
            continue  # cannot be elaborated, or the same hardware as one before
        seen.add(tuple(netlists))
        found += 1
        if found <= skip:
            continue
        verdict = judge(target, mutant)
        verdicts.append(verdict)
        print(f"{verdict.seconds:6.1f} s  {verdict.by}: {mutant.name}", flush=True)
    return verdicts


def known_survivors(component: str) -> dict[str, str]:
    """Return the mutants of a component that are known to live, each with the reason."""
    text = json.loads(SURVIVORS.read_text(encoding="utf-8"))
    return {entry["mutant"]: entry["why"] for entry in text.get(component, [])}


def main(arguments: list[str] | None = None) -> int:
    """Judge mutants; return 1 if one lives that is not known to."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation.run",
        description="Change proved components at random and run their unit tests and proofs.",
        epilog="example: python -m tests.mutation.run --component WriteArbiter --count 5",
    )
    parser.add_argument("--component", choices=TARGETS, help="only this one")
    parser.add_argument("--count", type=int, default=COUNT, help="mutants of each component")
    parser.add_argument("--seed", type=int, default=SEED, help="of their order")
    parser.add_argument("--skip", type=int, default=0, help="go on after so many")
    parser.add_argument("--json", type=Path, help="write the verdicts to this file")
    options = parser.parse_args(arguments)
    unknown = 0
    report = {}
    for component in [options.component] if options.component else TARGETS:
        print(component, flush=True)
        verdicts = run(
            TARGETS[component], count=options.count, seed=options.seed, skip=options.skip
        )
        known = known_survivors(component)
        living = [v.mutant for v in verdicts if not v.killed]
        new = [name for name in living if name not in known]
        unknown += len(new)
        print(f"{component}: {len(verdicts) - len(living)} of {len(verdicts)} killed")
        for name in new:
            print(f"    lives, and is not in {SURVIVORS.name}: {name}", flush=True)
        report[component] = [dataclasses.asdict(verdict) for verdict in verdicts]
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
