"""Names and paths in the documentation are those of the tree."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.test_structure import ALLOWED, NOT_INSTALLED, ROOT

FOLDERS = {name for name in ALLOWED if "." not in name} | {"tests"}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PARAMETERS = [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in PAGES]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def prose(page):
    """Return a page without its blocks of code, which are examples or pictures."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def is_there(name):
    """Whether a dotted name is that of a module, or of something in one."""
    parts = name.split(".")
    start = parts if parts[0] in ("gscn", *NOT_INSTALLED, "tests") else ["gscn", *parts]
    for end in range(len(start), 0, -1):
        try:
            found = importlib.import_module(".".join(start[:end]))
        except ModuleNotFoundError:
            continue
        for attribute in start[end:]:
            if attribute in getattr(found, "__dataclass_fields__", ()):
                return attribute == start[-1]
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


def dotted(text):
    """Return the dotted names of a text that begin with one of our folders."""
    quoted = set(re.findall(r"`([A-Za-z_]\w*(?:\.\w+)+)(?:\([^`]*\))?`", text))
    endings = ("py", "md", "json", "svg", "vlt", "cpp", "h", "sv", "v", "toml")
    return {
        name
        for name in quoted
        if name.split(".")[0] in FOLDERS and name.rpartition(".")[2] not in endings
    }


def paths(text):
    """Return the paths of a text that begin with one of our folders."""
    found = set(re.findall(r"[`\s(]((?:\w+/)+[\w.-]*)(?:::\w+)?[`\s),.:;]", f" {text} "))
    return {
        path.rstrip(".")
        for path in found
        if path.split("/")[0] in FOLDERS | {"docs"} and "NAME" not in path
    }


@pytest.mark.parametrize("page", PARAMETERS)
def test_dotted_names_are_in_the_code(page):
    assert sorted(name for name in dotted(prose(page)) if not is_there(name)) == []


@pytest.mark.parametrize("page", PARAMETERS)
def test_paths_exist(page):
    wrong = sorted(path for path in paths(prose(page)) if not (ROOT / path).exists())
    assert wrong == []


@pytest.mark.parametrize("page", PARAMETERS)
def test_links_lead_to_files_and_headings(page):
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def anchors(page: Path):
    """Return the anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_a_name_that_is_nowhere_is_found():
    assert is_there("hw.pe.ring.RingWalker.LATENCY")
    assert is_there("lowering.pass_image.PassImage.descriptors_addr")
    assert is_there("golden.sparsify")
    assert not is_there("hw.pe.ring.Stroller")
    assert not is_there("hw.pe.stroller")
    assert not is_there("lowering.pass_image.PassImage.nothing")
    assert dotted("`hw.pe.ring`, `torch.nn`, `cosim.run(x)` and `gscn/conv.py`") == {
        "hw.pe.ring", "cosim.run",
    }  # fmt: skip
    assert paths("see `hw/pe/ring.py`, docs/glossary.md.") == {
        "hw/pe/ring.py", "docs/glossary.md",
    }  # fmt: skip
