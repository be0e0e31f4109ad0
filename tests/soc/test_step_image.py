"""A whole step as an image: wherever it lies, its list and the host's playback give the memory."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.array import array
from gscn.emulator.lists import run_list
from gscn.encode import EncodeError
from gscn.errors import MismatchError
from gscn.passes import DESCRIPTOR_BYTES
from soc import step_image as step_images
from soc.step_files import step_files
from soc.step_image import SIZES, RecordingHost, step_image

CONFIG = array("tiny").with_overrides(SIZES)
BASE = 0x5040


@pytest.fixture(scope="module")
def image():
    return step_image(CONFIG)


def playback(image, base):
    """Return a host that does what the firmware's does, and notes whether reads are as recorded."""
    same, stops = [], []

    def host(number, memory):
        stops.append(number)
        for one in image.accesses:
            if one.stop == number:
                place = memory[base + one.offset :][: one.content.size]
                if one.writes:
                    place[:] = one.content
                else:
                    same.append(np.array_equal(place, one.content))

    return host, same, stops


def test_a_step_at_another_address_leaves_the_same_memory(image):
    memory = np.concatenate([np.zeros(BASE, np.uint8), image.at(BASE)])
    host, same, stops = playback(image, BASE)
    result = run_list(CONFIG, memory, BASE, BASE + image.places * DESCRIPTOR_BYTES, host)
    assert result.error == EncodeError.NONE
    assert stops
    assert set(stops) == {one.stop for one in image.accesses}
    assert same
    assert all(same)
    words = result.memory[BASE:].view("<u4").copy()
    words[image.addresses // 4] -= np.uint32(BASE)
    assert np.array_equal(words, image.expected.view("<u4"))
    assert not np.array_equal(image.content, image.expected)


def test_without_what_the_host_writes_memory_is_another(image):
    end = image.places * DESCRIPTOR_BYTES
    result = run_list(CONFIG, image.content, 0, end, lambda *_: None)
    assert not np.array_equal(result.memory, image.expected)


def test_the_checksum_is_that_of_the_words(image):
    low = high = 0
    for word in image.expected.view("<u4").tolist():
        low = (low + word) % 2**32
        high = (high + low) % 2**32
    assert image.checksum() == high << 32 | low


def test_a_step_that_begins_anew_is_refused(monkeypatch):
    monkeypatch.setattr(step_images.Host, "__call__", lambda *_: 0)

    def ended(config, memory, addr, end, host):
        assert isinstance(host, RecordingHost)
        host(1, memory)
        return type("Result", (), {"error": EncodeError.NONE, "memory": memory})

    monkeypatch.setattr(step_images, "run_list", ended)
    with pytest.raises(MismatchError, match="must not begin anew"):
        step_image(CONFIG)


def test_a_list_that_fails_is_refused():
    with pytest.raises(MismatchError, match="not with WINDOW at the record at 0x"):
        step_image(array("tiny").with_overrides(SIZES[:1]))


def test_files_have_all_bytes_and_every_access(image):
    files = step_files(image)
    assert files["step_content.bin"] == image.content.tobytes()
    assert files["step_expected.bin"] == image.expected.tobytes()
    assert np.frombuffer(files["step_addresses.bin"], "<u4").tolist() == image.addresses.tolist()
    source, accessed, at = files["step_image.c"], files["step_accessed.bin"], 0
    for one in image.accesses:
        line = f"    {{{one.stop}u, {int(one.writes)}u, {one.offset}u, {one.content.size}u}},\n"
        assert line in source
        assert accessed[at : at + one.content.size] == one.content.tobytes()
        at += one.content.size
    assert at == len(accessed)
    assert f".access_count = {len(image.accesses)}u" in source
    assert f"UINT64_C(0x{CONFIG.digest()})" in source
