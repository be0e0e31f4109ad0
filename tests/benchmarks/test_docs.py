"""Pages are what their figures say, and say when their figures are old."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from benchmarks import docs, pages, quotes, versions
from benchmarks.pages import Page
from gscn.errors import InputError

REGISTRY = docs.registry()


@pytest.mark.parametrize("name", REGISTRY)
def test_a_page_is_the_rendering_of_its_figures(name):
    page = REGISTRY[name]
    assert pages.unlike(page, pages.load(name)) == []


@pytest.mark.parametrize("name", REGISTRY)
def test_figures_say_what_they_were_made_with(name):
    page, origin = REGISTRY[name], pages.load(name)["provenance"]
    assert set(origin["versions"]) == set(page.parts) <= set(versions.PROBES)
    assert set(origin["configurations"]) == set(page.configs)
    assert page.parts
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", origin["date"])
    assert f"PAGE={name}" in origin["command"]


def test_texts_quote_the_figures_of_pages(repository):
    found = 0
    for path in quotes.texts(repository):
        assert docs.check_quotes(path) == []
        found += len(quotes.quoted(path.read_text(encoding="utf-8")))
    assert found > 30


def test_every_record_belongs_to_a_page_and_the_index_has_them_all():
    assert docs.check_files() == []
    index = (pages.DOCS / docs.INDEX).read_text(encoding="utf-8")
    assert index == docs.index()
    for name in REGISTRY:
        assert f"[{name}]({name}.md)" in index


def test_no_page_is_read_for_its_numbers(repository):
    for package in ("perf", "gscn", "benchmarks"):
        for path in (repository / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"read_tables|splitlines\(\).*\|", text), path
            assert not re.search(r"\.md\"[^\n]*read_text", text), path


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page of its own folder, made."""
    monkeypatch.setattr(pages, "DOCS", tmp_path)
    monkeypatch.setattr(pages.versions, "version", lambda name: f"now-{name}")
    page = Page(
        name="page",
        make=lambda: {"mean": 0.5, "rows": ((1, 2),)},
        render=lambda data: f"# Page\n\nMean: {data['mean']}, {data['rows']}",
        parts=("model",),
        configs=("tiny",),
        quotes=lambda data: {"mean": str(data["mean"])},
        files=lambda data: {"page.csv": f"{data['mean']}\n"},
    )
    pages.make(page)
    return page


def altered(page, **provenance):
    """Change the record as a tree that has moved on would find it."""
    path = pages.json_path(page.name)
    record = json.loads(path.read_text())
    record["provenance"] |= provenance
    path.write_text(json.dumps(record))


def test_a_page_that_was_just_made_is_right(page, tmp_path):
    assert pages.check(page) == []
    text = (tmp_path / "page.md").read_text()
    assert text.startswith("# Page\n\nMean: 0.5, [[1, 2]]\n\n---\n\nMade by `make docs PAGE=page`")
    assert "model `now-model`" in text
    assert (tmp_path / "page.csv").read_text() == "0.5\n"
    assert pages.load("page")["provenance"]["seconds"] >= 0


@pytest.mark.parametrize("name", ["page.md", "page.csv"])
def test_a_file_that_was_edited_or_lost_is_named(page, tmp_path, name):
    path = tmp_path / name
    path.write_text(path.read_text().replace("0.5", "0.9"))
    assert pages.check(page) == [
        f"docs/results/{name} must be what page.json says: `make docs-render`"
    ]
    path.unlink()
    assert len(pages.check(page)) == 1


def test_figures_that_were_edited_no_longer_fit_the_page(page):
    path = pages.json_path("page")
    path.write_text(path.read_text().replace('"mean": 0.5', '"mean": 0.7'))
    assert [problem.split(" must")[0] for problem in pages.check(page)] == [
        "docs/results/page.csv", "docs/results/page.md"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("provenance", "what"),
    [
        ({"versions": {"model": "earlier"}}, "model"),
        ({"versions": {}}, "model"),
        ({"configurations": {"tiny": "0"}}, "configuration tiny"),
    ],
)
def test_figures_older_than_the_tree_are_named_until_the_page_says_so(page, provenance, what):
    altered(page, **provenance)
    problems = [problem for problem in pages.check(page) if "older" in problem]
    (problem,) = problems
    assert problem.startswith(f"docs/results/page.json is older than {what}: `make docs PAGE=page`")
    record = pages.load("page")
    now = pages.changed(page, record)
    pages.write(page, record["data"], record["provenance"], now)
    assert pages.check(page) == []
    text = (pages.DOCS / "page.md").read_text()
    assert f"**Older than the tree:** {what} changed since." in text


def test_a_page_that_calls_itself_old_and_is_not_is_named(page):
    record = pages.load("page")
    pages.write(page, record["data"], record["provenance"], ["model"])
    (problem,) = pages.check(page)
    assert "says that model changed, which is as it was" in problem


def test_a_page_is_older_than_another_whose_figures_it_took(page):
    taker = Page(
        name="taker", make=dict, render=lambda _: "# Taker", parts=("model",), inputs=("page",)
    )
    pages.make(taker)
    assert pages.check(taker) == []
    record = pages.load("page")
    pages.write(page, record["data"] | {"mean": 0.6}, record["provenance"])
    assert pages.changed(taker, pages.load("taker")) == ["page.json"]


def test_a_figure_that_was_altered_is_named(page, tmp_path):
    drawn = tmp_path / "drawn.svg"
    drawn.write_text("<svg/>")
    record = pages.load("page")
    data = record["data"] | {"files": pages.digests(drawn)}
    pages.write(page, data, record["provenance"])
    assert pages.check(page) == []
    drawn.write_text("<svg></svg>")
    assert pages.unlike(page, pages.load("page")) == ["drawn.svg"]


@pytest.mark.parametrize("text", [None, "nonsense", "{}", "[1]", '{"data": {}}'])
def test_a_record_that_is_none_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.setattr(pages, "DOCS", tmp_path)
    if text is not None:
        (tmp_path / "page.json").write_text(text)
    with pytest.raises(InputError, match=r"page\.json must"):
        pages.load("page")


def test_a_quoted_figure_that_is_old_is_named(tmp_path):
    text = "<!-- = utilization.swing-most -->0<!-- / --> <!-- = nothing.x -->1<!-- / -->"
    path = tmp_path / "text.md"
    path.write_text(text.split(" <!-- = nothing")[0])
    (problem,) = docs.check_quotes(path)
    assert "utilization.swing-most must be" in problem
    assert "not '0'" in problem
    path.write_text(text)
    (problem,) = docs.check_quotes(path)
    assert "a quotation must be of" in problem
    path.write_text("<!-- = utilization.nonsense -->1<!-- / -->")
    (problem,) = docs.check_quotes(path)
    assert "not nonsense" in problem


def test_the_command_exits_with_1_if_a_page_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr(
        docs, "check_all", lambda: ["docs/results/page.md must be what page.json says"]
    )
    assert docs.main(["--check"]) == 1
    assert "docs/results/page.md must" in capsys.readouterr().out
    monkeypatch.setattr(docs, "check_all", list)
    assert docs.main(["--check"]) == 0
    with pytest.raises(SystemExit):
        docs.main(["nonsense"])


def test_records_that_the_package_ships_are_linked_from_docs(repository):
    folder = repository / "perf" / "report" / "data" / "figures"
    names = {path.name for path in folder.glob("*.json")}
    assert names == {"utilization.json", "area.json", "gpu.json", "model-error.json"}
    for name in names:
        assert (repository / "docs" / "results" / name).resolve() == folder / name


def test_a_record_is_written_through_its_link(page, tmp_path):
    shipped = tmp_path / "package"
    shipped.mkdir()
    shutil.move(tmp_path / "page.json", shipped / "page.json")
    (tmp_path / "page.json").symlink_to(shipped / "page.json")
    pages.make(page)
    assert (tmp_path / "page.json").is_symlink()
    assert pages.check(page) == []
