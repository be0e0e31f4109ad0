"""`python -m benchmarks.docs`: make, render or check the generated pages of docs/.

Without an action it makes pages again, all of them or those named: hours, of which
docs/results/README.md has each page's. `--render` writes pages from their figures, and quoted
figures into texts, in a second. `--check` says which pages are not what their figures say, and
which figures are older than what they follow from. `--stale` lets pages say which of theirs are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from benchmarks import pages, quotes
from benchmarks.pages import DOCS, ROOT, Page
from gscn.errors import InputError
from gscn.system.files import write_text

INDEX = "README.md"


@cache
def registry() -> dict[str, Page]:
    """Return the pages by name, in an order in which each comes after those that it takes from."""
    from benchmarks import (
        architectures,
        area,
        choices,
        cosim_speed,
        coverage,
        extrapolation,
        float_error,
        flops,
        gate_energy,
        gpu,
        headline,
        layout,
        microscaling,
        model_error,
        operands,
        overhead,
        performance,
        rivals,
        simulators,
        training,
        user_networks,
        utilization,
    )

    modules = (
        *(
            flops,
            headline,
            extrapolation,
            user_networks,
            gpu,
            model_error,
            rivals,
            area,
            gate_energy,
            layout,
            utilization,
            choices,
            simulators,
        ),
        *(
            performance,
            overhead,
            float_error,
            microscaling,
            cosim_speed,
            coverage,
            training,
            operands,
            architectures,
        ),
    )
    return {page.name: page for page in (module.PAGE for module in modules)}


def look_up(page: str, name: str) -> str:
    """Return a quoted figure.

    Raises
    ------
    InputError
        There is no such page or figure.
    """
    known = registry()
    if page not in known:
        raise InputError(f"a quotation must be of {', '.join(known)}, not of {page}")
    figures = known[page].quotes(pages.load(page)["data"])
    if name not in figures:
        raise InputError(f"{page} quotes {', '.join(figures) or 'nothing'}, not {name}")
    return figures[name]


def index() -> str:
    """Return the table of all pages: what each follows from, and how long it takes to make."""
    lines = []
    for name, page in registry().items():
        record = pages.load(name)
        origin = record["provenance"]
        seconds = origin["seconds"]
        lines.append(
            "| "
            + " | ".join(
                (
                    f"[{name}]({name}.md)",
                    f"[{name}.json]({name}.json)",
                    "-" if seconds is None else pages.duration(seconds),
                    origin["date"],
                    ", ".join((*page.parts, *(f"{one}.json" for one in page.inputs))),
                    ", ".join(record["stale"]) or "-",
                )
            )
            + " |"
        )
    known = [pages.load(name)["provenance"]["seconds"] for name in registry()]
    total = sum(seconds for seconds in known if seconds is not None)
    head = "| page | figures | time to make | made on | follows from | changed since |"
    return (
        "# Generated pages\n\n"
        "`make docs` makes all of these again, `make docs PAGE=networks` one of them. "
        f"The pages whose time is known took {pages.duration(total)} together; a dash is a time "
        "that was not taken. `make docs-check` says which are older than what they follow from: "
        "each part of the project has a version, a digest of what it makes of small fixed inputs "
        "(`benchmarks/versions.py`). [registers.md](../contract/registers.md) and "
        "[proofs.md](proofs.md) follow from code alone, with which tests compare them.\n\n"
        f"{head}\n| --- | --- | --- | --- | --- | --- |\n" + "\n".join(lines) + "\n"
    )


def render_all(chosen: Sequence[Page]) -> None:
    """Write pages from their figures, quoted figures into texts, and the index."""
    for page in chosen:
        for name, text in pages.outputs(page, pages.load(page.name)).items():
            write_text(DOCS / name, text)
    for path in quotes.texts(ROOT):
        old = path.read_text(encoding="utf-8")
        new = quotes.fill(old, look_up)
        if new != old:
            write_text(path, new)
    write_text(DOCS / INDEX, index())


def check_all() -> list[str]:
    """Return what is wrong with pages and texts, a sentence each."""
    problems = []
    for page in registry().values():
        problems += pages.check(page)
    for path in quotes.texts(ROOT):
        problems += check_quotes(path)
    problems += check_files()
    if (DOCS / INDEX).read_text(encoding="utf-8") != index():
        problems.append(
            f"docs/results/{INDEX} must be what the pages' figures say: `make docs-render`"
        )
    return problems


def check_quotes(path: Path) -> list[str]:
    """Return what is wrong with the figures that a text quotes, a sentence each."""
    text = path.read_text(encoding="utf-8")
    try:
        quotes.fill(text, look_up)
    except InputError as error:
        return [f"{path.name}: {error}"]
    return [
        f"{path.name}: {page}.{name} must be {look_up(page, name)!r}, not {said!r}: "
        "`make docs-render`"
        for page, name, said in quotes.quoted(text)
        if said != look_up(page, name)
    ]


def check_files() -> list[str]:
    """Return the JSON files of docs/results/ that no page has."""
    return [
        f"docs/results/{path.name} must belong to a page"
        for path in sorted(DOCS.glob("*.json"))
        if path.stem not in registry()
    ]


def mark_stale() -> None:
    """Let every page say what changed since its figures were made."""
    for page in registry().values():
        record = pages.load(page.name)
        pages.write(page, record["data"], record["provenance"], pages.changed(page, record))
    write_text(DOCS / INDEX, index())


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.docs", description=__doc__)
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="by default all")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--render", action="store_true", help="write pages from their figures")
    action.add_argument("--check", action="store_true", help="exit with 1 if a page is not right")
    action.add_argument("--stale", action="store_true", help="let pages say what changed since")
    args = parser.parse_args(arguments)
    known = registry()
    if unknown := [name for name in args.pages if name not in known]:
        parser.error(f"PAGE must be of {', '.join(known)}, not {', '.join(unknown)}")
    chosen = [known[name] for name in args.pages or known]
    if args.check:
        problems = check_all()
        for problem in problems:
            print(problem)
        print(f"{len(known)} pages, {len(problems)} problems")
        return bool(problems)
    if args.stale:
        mark_stale()
    elif not args.render:
        for page in chosen:
            sys.stderr.write(f"{page.name}\n")
            pages.make(page)
    render_all(chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
