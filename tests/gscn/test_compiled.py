import shutil
from pathlib import Path

import numba

from gscn import compiled


def copy_of_sources(tmp_path: Path) -> Path:
    for package in ("golden", "lowering", "perf"):
        shutil.copytree(Path(compiled.__file__).parents[1] / package, tmp_path / package)
    return tmp_path


def test_the_cache_directory_is_named_after_the_sources_in_use():
    assert Path(numba.config.CACHE_DIR).name == compiled.source_digest()


def test_a_change_of_any_source_changes_the_digest(tmp_path):
    root = copy_of_sources(tmp_path)
    before = compiled.source_digest(root)
    assert before == compiled.source_digest()
    for package in ("golden", "lowering", "perf", "perf/rivals"):
        path = next(iter(sorted((root / package).glob("*.py"))))
        path.write_text(path.read_text() + "\n")
        after = compiled.source_digest(root)
        assert after != before
        before = after


def test_a_compiled_function_returns_what_the_function_returns():
    @compiled.compiled
    def double(x):
        return 2 * x

    @compiled.compiled(inline="always")
    def triple(x):
        return 3 * x

    assert (double(4), triple(4)) == (8, 12)
