"""What is installed is what the folders hold, below one name."""

from __future__ import annotations

import tomllib

from tests.test_structure import NOT_INSTALLED, module_of, sources


def test_every_folder_with_sources_is_installed(repository):
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    setuptools = settings["tool"]["setuptools"]
    packages = {
        module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
        for path in sources()
        if path.relative_to(repository).parts[0] not in NOT_INSTALLED
    }
    assert set(setuptools["packages"]) == packages
    assert {name.split(".")[0] for name in packages} == {"gscn"}
    for name, folder in setuptools["package-dir"].items():
        assert (repository / folder / "__init__.py").is_file(), name
    for name, patterns in setuptools["package-data"].items():
        top = ".".join(name.split(".")[:2])
        folder = repository / setuptools["package-dir"][top] / "/".join(name.split(".")[2:])
        for pattern in patterns:
            assert list(folder.glob(pattern)), f"{name}: {pattern}"
