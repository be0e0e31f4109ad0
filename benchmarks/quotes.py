"""Figures in texts that are written by hand, taken by name from the figures of generated pages.

`<!-- = PAGE.NAME -->93.0 %<!-- / -->` holds what the page quotes by that name. Markdown shows the
text between the comments; `fill` writes it anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from gscn.errors import InputError

_QUOTE = re.compile(r"<!-- = ([\w-]+)\.([\w-]+) -->(.*?)<!-- / -->", re.DOTALL)
_OPENING = re.compile(r"<!--\s*=")


def fill(text: str, look_up: Callable[[str, str], str]) -> str:
    """Return a text with every quoted figure as it is now.

    Parameters
    ----------
    text
        Markdown.
    look_up
        Returns a figure by page and name; raises `InputError` if there is none.

    Raises
    ------
    InputError
        A quotation has no such form, or there is no such figure.
    """
    whole = len(_QUOTE.findall(text))
    if whole != len(_OPENING.findall(text)):
        raise InputError("every quotation must read <!-- = PAGE.NAME -->figure<!-- / -->")
    return _QUOTE.sub(
        lambda found: f"<!-- = {found[1]}.{found[2]} -->{look_up(found[1], found[2])}<!-- / -->",
        text,
    )


def quoted(text: str) -> list[tuple[str, str, str]]:
    """Return page, name and figure of every quotation of a text."""
    return _QUOTE.findall(text)


def texts(root: Path) -> Iterable[Path]:
    """Yield the Markdown files that may quote."""
    yield root / "README.md"
    yield from sorted((root / "docs").rglob("*.md"))
