"""The documentation site: a page for every source, links that stay within it, no warning."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import site


def test_every_source_that_is_for_callers_has_a_page():
    pages = [site.api_page(path) for path in site.modules()]
    assert len(set(pages)) == len(pages) > 100
    assert {"api/hw/pe/worker.md", "api/hw/pe/index.md", "api/gscn/passes.md"} <= set(pages)
    assert not [page for page in pages if "inside" in page or "command" in page]


def test_a_page_says_by_which_name_its_source_is_imported():
    assert site.module_name(Path("hw/pe/worker.py")) == "gscn.hw.pe.worker"
    assert site.module_name(Path("gscn/conv.py")) == "gscn.conv"
    assert site.module_name(Path("hw/pe/__init__.py")) == "gscn.hw.pe"
    assert site.api_text(Path("hw/pe/worker.py")) == (
        "# `hw/pe/worker.py`\n\nImported as `gscn.hw.pe.worker`.\n\n::: gscn.hw.pe.worker\n"
    )


def leaves(entries):
    """Return the pages of a navigation."""
    found = []
    for entry in entries:
        if isinstance(entry, str):
            found.append(entry)
        else:
            (value,) = entry.values()
            found += [value] if isinstance(value, str) else leaves(value)
    return found


def test_the_navigation_has_every_page_once():
    assert sorted(leaves(site.navigation())) == sorted(map(site.api_page, site.modules()))


def test_pages_of_docs_are_all_in_the_configuration(repository):
    listed = re.findall(r"- ([\w/-]+\.md)$", (repository / "mkdocs.yml").read_text(), re.MULTILINE)
    docs = repository / "docs"
    assert sorted(listed) == sorted(p.relative_to(docs).as_posix() for p in docs.rglob("*.md"))


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("index.md", "[x](../hw/pe/worker.py)", "[x](api/hw/pe/worker.md)"),
        ("index.md", "[x](../hw)", "[x](api/hw/index.md)"),
        ("guides/a.md", "[x](../../gscn/conv.py)", "[x](../api/gscn/conv.md)"),
        ("guides/a.md", "[x](../results/gpu.md)", "[x](../results/gpu.md)"),
        ("index.md", "[x](../tests/TESTPLAN.md)", "x"),
        ("index.md", "[x](glossary.md) and [y](https://x.org)", None),
    ],
)
def test_links_that_leave_the_documentation_lead_to_docstrings(page, link, expected):
    assert site.rewritten(link, page) == (expected or link)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(repository, tmp_path):
    pytest.importorskip("mkdocs", reason="`make docs-site` installs mkdocs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path)],
        cwd=repository,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    page = (tmp_path / "architecture.html").read_text(encoding="utf-8")
    source = (repository / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert page.count('class="mermaid"') == source.count("```mermaid") > 10
