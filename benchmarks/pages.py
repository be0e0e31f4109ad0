"""Generated pages of docs/: what each shows as JSON, and the page as a function of that alone.

docs/NAME.json has the figures and where they come from; docs/NAME.md is rendered from it. So a page
can be compared with its figures, and its figures with the tree that they were made by, in seconds
(`check`); texts written by hand take figures by name from the same files (`benchmarks.quotes`).
"""

from __future__ import annotations

import datetime
import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import versions
from gscn.array import array
from gscn.errors import InputError
from gscn.system.files import write_text

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs" / "results"
SHOWN_DIGITS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A page, or the figures of one that is written by hand."""

    name: str
    """docs/results/NAME.json, and docs/results/NAME.md."""
    make: Callable[[], dict[str, Any]]
    """Computes what it shows, as plain JSON values."""
    render: Callable[[dict[str, Any]], str] | None
    """Returns the Markdown without its last paragraph; None: the page is written by hand."""
    parts: tuple[str, ...]
    """Keys of `versions.PROBES` from which the figures follow."""
    configs: tuple[str, ...] = ()
    """Presets on which it was measured."""
    inputs: tuple[str, ...] = ()
    """Other pages whose figures it takes."""
    quotes: Callable[[dict[str, Any]], dict[str, str]] = field(default=lambda _: {})
    """Figures by name, as texts take them."""
    files: Callable[[dict[str, Any]], dict[str, str]] = field(default=lambda _: {})
    """Text of each further file of docs/, by name."""

    @property
    def command(self) -> str:
        """What makes it again."""
        return f"make docs PAGE={self.name}"


def json_path(name: str) -> Path:
    """Return the file of a page's figures; what `gscn report` reads lies in its package."""
    return (DOCS / f"{name}.json").resolve()


def load(name: str) -> dict[str, Any]:
    """Return the record of a page: `data`, `provenance` and `stale`.

    Raises
    ------
    InputError
        There is no such file, or it is no record.
    """
    path = json_path(name)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} must be the record of a page: {error}") from error
    if set(record) != {"data", "provenance", "stale"}:
        raise InputError(f"{path} must have data, provenance and stale, not {sorted(record)}")
    return record


def data_digest(name: str) -> str:
    """Return 12 hexadecimal digits of what a page shows, wherever and whenever it was made."""
    text = json.dumps(load(name)["data"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:SHOWN_DIGITS]


def provenance(page: Page, seconds: float | None) -> dict[str, Any]:
    """Return where figures that were made just now come from."""
    return {
        "command": page.command,
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "commit": commit(),
        "seconds": seconds,
        "configurations": {name: array(name).digest() for name in page.configs},
        "versions": {name: versions.version(name) for name in page.parts},
        "inputs": {name: data_digest(name) for name in page.inputs},
    }


def commit() -> str | None:
    """Return the commit of the tree, None outside a checkout."""
    done = subprocess.run(
        ["git", "rev-parse", "--short=8", "HEAD"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or None


def make(page: Page) -> None:
    """Compute a page's figures and write it."""
    start = time.perf_counter()
    data = page.make()
    # Pages whose making may be stopped and go on keep their own account.
    seconds = data.get("seconds", time.perf_counter() - start)
    write(page, data, provenance(page, seconds))


def write(
    page: Page, data: dict[str, Any], origin: Mapping[str, Any], stale: Sequence[str] = ()
) -> None:
    """Write a page's record, and the page and its further files from it."""
    # As it is read back: keys are texts, tuples are lists.
    data = json.loads(json.dumps(data, allow_nan=False))
    record = {"data": data, "provenance": dict(origin), "stale": list(stale)}
    write_text(json_path(page.name), json.dumps(record, indent=1, allow_nan=False) + "\n")
    for name, text in outputs(page, record).items():
        write_text(DOCS / name, text)


def outputs(page: Page, record: dict[str, Any]) -> dict[str, str]:
    """Return the text of every file of docs/ that follows from a record, by name."""
    texts = dict(page.files(record["data"]))
    if page.render is not None:
        body = page.render(record["data"]).rstrip("\n")
        texts[f"{page.name}.md"] = f"{body}\n\n{footer(page, record)}\n"
    return texts


def footer(page: Page, record: dict[str, Any]) -> str:
    """Return the last paragraph of a page: where its figures come from."""
    origin = record["provenance"]
    took = "" if origin["seconds"] is None else f" in {duration(origin['seconds'])}"
    commit = "" if origin["commit"] is None else f", after {origin['commit']}"
    made = [f"Made by `{origin['command']}` on {origin['date']}{commit}{took}"]
    for title, values in (("configuration", origin["configurations"]), ("", origin["versions"])):
        made += [
            f"{title} {name} {'unknown' if value is None else f'`{value}`'}".strip()
            for name, value in values.items()
        ]
    lines = [f"---\n\n{', '.join(made)}. The figures: [{page.name}.json]({page.name}.json)."]
    if record["stale"]:
        lines.append(f"**Older than the tree:** {', '.join(record['stale'])} changed since.")
    return "\n\n".join(lines)


def duration(seconds: float) -> str:
    """Return a time in words."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def digests(*paths: Path) -> dict[str, str]:
    """Return the SHA-256 of files of docs/, as a page keeps it for those that it does not make."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def changed(page: Page, record: dict[str, Any]) -> list[str]:
    """Return what a page's figures follow from and has changed since they were made."""
    origin = record["provenance"]
    found = [name for name in page.parts if origin["versions"].get(name) != versions.version(name)]
    found += [
        f"{name}.json" for name in page.inputs if origin["inputs"].get(name) != data_digest(name)
    ]
    found += [
        f"configuration {name}"
        for name in page.configs
        if origin["configurations"].get(name) != array(name).digest()
    ]
    return found


def unlike(page: Page, record: dict[str, Any]) -> list[str]:
    """Return the files of docs/ that are not what a record says."""
    found = []
    for name, text in outputs(page, record).items():
        path = DOCS / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            found.append(name)
    for name, right in record["data"].get("files", {}).items():
        path = DOCS / name
        if not path.is_file() or digests(path)[name] != right:
            found.append(name)
    return found


def check(page: Page) -> list[str]:
    """Return what is wrong with a page, a sentence each."""
    record = load(page.name)
    problems = [
        f"docs/results/{name} must be what {page.name}.json says: `make docs-render`"
        for name in unlike(page, record)
    ]
    now, said = changed(page, record), record["stale"]
    if news := [name for name in now if name not in said]:
        problems.append(
            f"docs/results/{page.name}.json is older than {', '.join(news)}: `{page.command}`, or "
            "`make docs-stale` to have the page say so"
        )
    if gone := [name for name in said if name not in now]:
        problems.append(
            f"docs/results/{page.name}.json says that {', '.join(gone)} changed, which is as it "
            "was: `make docs-stale`"
        )
    return problems
