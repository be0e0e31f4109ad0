"""Hooks of the documentation site: pages of the docstrings, and links to files of the repository.

mkdocs calls the functions whose names begin with `on_` (`mkdocs.yml`). Installed, every folder is a
package below `gscn`; mkdocstrings reads sources, so they are laid out like that under `build/`.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "build" / "site-source"
FOLDERS = {
    "gscn": "Vocabulary",
    "lowering": "Lowering",
    "emulator": "Emulator",
    "cycles": "Cycle model",
    "hw": "Hardware",
    "rtl_gen": "Verilog",
    "cosim": "Co-simulation",
    "golden": "Training",
    "perf": "Estimates",
}
"""Folders whose docstrings have pages, with their titles. What is not for callers has none:
`command`, whose options are its documentation, `system`, and what is not installed."""
INSIDE = ("cosim/inside",)
"""Runs inside the simulator, and is imported by nothing else."""
MERMAID = ROOT / "build" / "mermaid" / "mermaid.min.js"
"""What draws the pictures, if `make docs-site` could fetch it; else pages load it by themselves."""
_LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)")


def modules() -> list[Path]:
    """Return the sources that have a page, as paths in the repository, packages' faces first."""
    found = [
        path.relative_to(ROOT)
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "__main__.py" and not path.relative_to(ROOT).as_posix().startswith(INSIDE)
    ]
    return sorted(found, key=lambda path: (path.parent.parts, path.name != "__init__.py", path))


def api_page(path: Path | PurePosixPath) -> str:
    """Return the page of a source, or of a folder: `api/hw/pe/worker.md`, `api/hw/pe/index.md`."""
    if path.suffix != ".py":
        return (PurePosixPath("api") / path / "index.md").as_posix()
    name = "index" if path.name == "__init__.py" else path.stem
    return (PurePosixPath("api") / path.parent / f"{name}.md").as_posix()


def module_name(path: Path) -> str:
    """Return the name by which a source is imported."""
    parts = path.with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts if parts[0] == "gscn" else ("gscn", *parts))


def api_text(path: Path) -> str:
    """Return the Markdown of a source's page."""
    title = path.parent.as_posix() + "/" if path.name == "__init__.py" else path.as_posix()
    return f"# `{title}`\n\nImported as `{module_name(path)}`.\n\n::: {module_name(path)}\n"


def lay_out() -> None:
    """Copy the sources to where they would be if they were installed."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for folder in FOLDERS:
        place = SOURCE / "gscn" / ("" if folder == "gscn" else folder)
        shutil.copytree(
            ROOT / folder, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )


def navigation() -> list[dict[str, object]]:
    """Return the site's entries for the docstrings: folders, in them rooms and files."""

    def entries(folder: Path) -> list[object]:
        here = [path for path in modules() if path.parent == folder]
        rooms = sorted(
            {
                folder / path.relative_to(folder).parts[0]
                for path in modules()
                if folder in path.parents and path.parent != folder
            }
        )
        return [
            *({path.stem: api_page(path)} if path.name != "__init__.py" else api_page(path)
              for path in here),
            *({f"{room.name}/": entries(room)} for room in rooms),
        ]  # fmt: skip

    return [{title: entries(Path(folder))} for folder, title in FOLDERS.items()]


def rewritten(text: str, page: str) -> str:
    """Return a page's text with links that leave docs/ led to the site's own pages.

    Parameters
    ----------
    text
        Markdown.
    page
        Path of the page below docs/.
    """
    known = {path.as_posix() for path in modules()} | {
        parent.as_posix() for path in modules() for parent in path.parents
    }
    here = PurePosixPath("docs", page).parent

    def lead(found: re.Match[str]) -> str:
        parts: list[str] = []
        for part in (here / found[2]).parts:
            if part == "..":
                parts.pop()
            else:
                parts.append(part)
        if parts[0] == "docs":
            return found[0]
        if "/".join(parts) not in known:
            return found[1]
        up = "../" * (len(PurePosixPath(page).parts) - 1)
        return f"[{found[1]}]({up}{api_page(PurePosixPath(*parts))})"

    return _LINK.sub(lead, text)


def on_startup(command: str, dirty: bool) -> None:  # noqa: ARG001
    """Lay out the sources, before mkdocstrings looks for them."""
    lay_out()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add what is made of the docstrings to the navigation."""
    assert config.nav is not None
    config.nav.append({"API": navigation()})
    if MERMAID.exists():
        config.extra_javascript.append("javascripts/mermaid.min.js")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the docstrings, and the script of the pictures."""
    from mkdocs.structure.files import File

    for path in modules():
        files.append(File.generated(config, api_page(path), content=api_text(path)))
    if MERMAID.exists():
        files.append(
            File.generated(config, "javascripts/mermaid.min.js", abs_src_path=str(MERMAID))
        )
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Lead links to files of the repository to the pages of their docstrings."""
    return rewritten(markdown, page.file.src_uri)
