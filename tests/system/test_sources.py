"""The digest of sources changes with each of them, and with no other file."""

from __future__ import annotations

import pytest

from gscn.system.sources import room, source_digest


@pytest.fixture
def rooms(tmp_path):
    for name in ("gscn", "gscn/inner", "hw/pe", "perf/report"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "one.py").write_text(name)
    return tmp_path


def test_rooms_are_found_where_they_are_imported_from(repository):
    assert room("gscn") == repository / "gscn"
    assert room("hw") == repository / "hw"


def test_any_source_of_a_room_changes_the_digest(rooms):
    before = source_digest(["hw"], root=rooms)
    (rooms / "hw" / "pe" / "one.py").write_text("another")
    assert source_digest(["hw"], root=rooms) != before


def test_other_rooms_and_other_files_do_not(rooms):
    before = source_digest(["gscn", "hw"], root=rooms)
    (rooms / "perf" / "report" / "one.py").write_text("another")
    (rooms / "hw" / "pe" / "notes.txt").write_text("another")
    # Installed, the other rooms are folders of the vocabulary.
    (rooms / "gscn" / "inner" / "one.py").write_text("another")
    assert source_digest(["gscn", "hw"], root=rooms) == before


def test_what_does_not_matter_is_left_out(rooms):
    before = source_digest(["perf"], root=rooms, without=("perf/report/",))
    (rooms / "perf" / "report" / "one.py").write_text("another")
    assert source_digest(["perf"], root=rooms, without=("perf/report/",)) == before
    assert source_digest(["perf"], root=rooms) != before
