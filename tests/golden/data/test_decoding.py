"""Images of files: exactly what the file holds, or a refusal that names it."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gscn.errors import InputError
from gscn.golden.data.decoding import MOST_PIXELS, decode_image

OTHER_FORMAT = "must be a whole image, one of BMP, JPEG, PNG, PPM, WEBP by its content"
MANY_PIECES = "must be a whole image: it must be readable in 1000000 pieces"
TRANSPARENT = "must have no transparent pixels"


def saved(image: Image.Image, path, **how):
    image.save(path, **how)
    return path


def pixels(path, size: int = 8) -> np.ndarray:
    return decode_image(path, size)


def test_grey_of_16_bits_keeps_its_values(tmp_path):
    values = np.full((16, 16), 1000, np.uint16)
    values[:, 8:] = 1010
    for name in ("0.png", "0.ppm"):
        found = pixels(saved(Image.fromarray(values), tmp_path / name))
        expected = np.array([1000, 1010], np.float32) / 65535
        assert found.shape == (3, 8, 8)
        assert np.array_equal(found[:, :, 0], np.full((3, 8), expected[0]))
        assert np.array_equal(found[:, :, -1], np.full((3, 8), expected[1]))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA"])
def test_images_of_8_bits_are_exact(tmp_path, mode):
    value = 255 if mode == "1" else 77
    image = Image.new("RGB", (16, 16), (value, value, value)).convert(
        "RGB" if mode == "P" else mode
    )
    image = image.quantize() if mode == "P" else image
    assert np.array_equal(
        pixels(saved(image, tmp_path / "0.png")), np.full((3, 8, 8), value / 255, np.float32)
    )


def test_ink_becomes_the_light_that_it_lets_through(tmp_path):
    image = Image.new("CMYK", (16, 16), (255, 0, 102, 51))
    found = pixels(saved(image, tmp_path / "0.jpg", quality=100, subsampling=0))
    assert np.allclose(found[:, 0, 0], [0, 0.8, 0.6 * 0.8], atol=2 / 255)


def test_a_photograph_is_turned_as_the_camera_was_held(tmp_path):
    image = Image.new("RGB", (32, 32))
    image.paste((255, 255, 255), (0, 0, 32, 16))
    exif = Image.Exif()
    exif[274] = 6  # the top is at the right
    found = pixels(saved(image, tmp_path / "0.png", exif=exif))
    assert found[0, :, 0].max() == 0
    assert found[0, :, -1].min() == 1


def png(depth: int, colour: int, rows: bytes, width: int = 16, height: int = 16) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def animation(kind: str) -> bytes:
    frames = [Image.new("RGB", (16, 16), (value, 0, 0)) for value in (0, 255)]
    stream = io.BytesIO()
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
    return stream.getvalue()


def other(kind: str, image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (png(16, 2, (b"\0" + bytes(96)) * 16), "must have 8 bits.* not the layout RGB;16B"),
        (png(16, 6, (b"\0" + bytes(128)) * 16), "must have 8 bits.* not the layout RGBA;16B"),
        (png(16, 4, (b"\0" + bytes(64)) * 16), "must have 8 bits.* not the layout LA;16B"),
        (b"P6 16 16 65535\n" + bytes(1536), "must have values up to 255, not 65535"),
        (b"P5 16 16 1000\n" + bytes(512), "must have values up to 65535, not 1000"),
        (b"P5 16 16 7\n" + bytes(256), "must have values up to 255, not 7"),
        (b"Pf 16 16 -1.0\n" + bytes(1024), "must be grey.*not of the mode F"),
        (animation("PNG"), "must be one image, not 2 frames"),
        (animation("WEBP"), "must be one image, not 2 frames"),
        (other("PNG", Image.new("RGBA", (16, 16), (1, 2, 3, 254))), TRANSPARENT),
        (other("PNG", Image.new("LA", (16, 16), (1, 0))), TRANSPARENT),
        (other("TIFF", Image.new("F", (16, 16))), OTHER_FORMAT),
        (other("GIF", Image.new("L", (16, 16))), OTHER_FORMAT),
        (png(8, 0, b"", 10_000, 10_000), "must have at most 67108864 pixels"),
        (b"P5 1 60000 255\n" + bytes(60000), "must have sides whose ratio"),
        (b"P2 4096 4096 255\n" + b"1 " * 100, "must have at most 4194304 pixels"),
        (b"P5 " + b" " * (2 << 20), MANY_PIECES),
        (b"\xff\xd8" + b"\xff\xfe\0\2" * 600_000, MANY_PIECES),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", OTHER_FORMAT),
        (b"", OTHER_FORMAT),
    ],
)  # fmt: skip
def test_what_would_lose_values_or_exceed_bounds_is_refused_by_name(tmp_path, content, complaint):
    path = tmp_path / "0.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"0\.png {complaint}"):
        pixels(path, 224)


def test_a_jpeg_of_very_many_scans_is_refused(tmp_path):
    content = other("JPEG", Image.new("L", (8192, 8192)))
    path = tmp_path / "0.jpg"
    path.write_bytes(content + b"\xff\xda" * (1 << 31 >> MOST_PIXELS.bit_length() - 1))
    with pytest.raises(InputError, match="fewer scans for 8192x8192 pixels"):
        pixels(path)
