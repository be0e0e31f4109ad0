"""Files are read within bounds: what is no regular file, too large or too deep is refused."""

from __future__ import annotations

import json
import os

import pytest

from gscn.errors import InputError
from gscn.system.reading import open_regular, parse_json, read_bytes, read_json, read_text, shown


def test_what_a_file_holds_is_returned(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\xc3\xa4")
    assert read_bytes(path, "text", most_bytes=2) == b"\xc3\xa4"
    assert read_text(str(path), "text", most_bytes=2) == "ä"
    with open_regular(path, "text") as file:
        assert file.read() == b"\xc3\xa4"
    path.write_text('{"a": [1, 2.5, "[[{", null, true]}')
    assert read_json(path, "file") == {"a": [1, 2.5, "[[{", None, True]}


def test_pipes_devices_folders_and_absent_files_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, complaint in (
        (tmp_path / "pipe", "must be a regular file, not a pipe"),
        ("/dev/zero", "must be a regular file, not a device"),
        (tmp_path, "must be a regular file, not a directory"),
        (tmp_path / "absent", "must be a readable file: No such file"),
        ("with\0null", "must be a readable file: embedded null"),
        ("x" * 5_000, "must be a readable file: File name too long"),
    ):
        with pytest.raises(InputError, match=complaint) as caught:
            read_bytes(path, "text", most_bytes=10)
        assert len(str(caught.value)) < 5000


def test_larger_files_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="at most 10 bytes, not 1099511627776"):
        read_bytes(path, "text", most_bytes=10)
    # It states no size, and has one.
    with pytest.raises(InputError, match="at most 10 bytes, not 11"):
        read_bytes("/proc/self/status", "text", most_bytes=10)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="must be UTF-8 text"):
        read_text(path, "text", most_bytes=10)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"[" * 200_000, "nesting must be at most 64, not 200000"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nesting must be at most 64, not 65"),
        (b'["\\"' + b"[" * 5000, "nesting must be at most 64, not 5001"),
        (b"[NaN]", "must be finite, not NaN"),
        (b"[-Infinity]", "must be finite, not -Infinity"),
        (b"[1e999]", "must be finite, not '1e999'"),
        (b"[" + b"9" * 100_000 + b"]", "at most 64 bits, not '999"),
        (b"[9223372036854775808]", "at most 64 bits"),
        (b'{"a": 1, "b": 2, "a": 3}', "not twice: 'a'"),
        (b"\xff", "readable JSON"),
        (b"", "readable JSON"),
        (b"[1] 2", "readable JSON"),
    ],
)
def test_json_beyond_what_everything_can_hold_is_refused(content, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        parse_json(content, "list")
    assert len(str(caught.value)) < 400


def test_json_at_the_bounds_is_read():
    value = [9223372036854775807, -9223372036854775807, 1e308, "[" * 100]
    for _ in range(63):
        value = [value]
    assert parse_json(json.dumps(value).encode(), "list") == value


def test_values_are_shown_short():
    assert shown({"a": 1}) == "{'a': 1}"
    assert max(len(shown(v)) for v in ("x" * 10_000, [[["y" * 999] * 99] * 99] * 99)) < 210
