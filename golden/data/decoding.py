"""Images of files as numbers from 0 to 1: exactly what the file holds, or a refusal by name.

Grey, colour, palette and one-bit images of up to 8 bits, grey of 16 bits and CMYK are converted.
What the decoder would round (colours of 16 bits, other ranges), what has transparent pixels, and
what has several frames is refused: there is no one image that is meant.
"""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gscn.errors import InputError
from gscn.system.reading import read_bytes, shown

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "WEBP")
MOST_BYTES = 256 << 20
MOST_PIXELS = 1 << 26
"""Of an image, as it is and as it is scaled."""
_MOST_TEXT_PIXELS = 1 << 22
"""Of an image that is written as text."""
_MOST_SCANNED = 1 << 31
"""Pixels times the scans of a progressive JPEG, each of which visits all of them."""
_MOST_READS = 1_000_000
"""Pieces in which a decoder may take a file; those of one byte are the slowest."""
_RESIZE_FACTOR = 256 / 224
"""The shorter side is scaled to this many crops, as is customary for ImageNet."""
_ROUNDED = re.compile(r";1[56]")
"""In the names of layouts of more bits than the decoder keeps, or of fewer that it rounds up."""
_ORIENTATION = 274
"""Of the camera, in EXIF."""


class _Pieces(io.BytesIO):
    """A file in memory that is taken in a bounded number of pieces."""

    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        if self.reads > _MOST_READS:
            raise ValueError(f"it must be readable in {_MOST_READS} pieces")
        return super().read(size)


def decode_image(path: Path, size: int) -> np.ndarray:
    """Return the middle of an image, scaled so that its shorter side is 8/7 of it.

    It is turned as EXIF says that the camera was held; colour profiles are not applied.

    Parameters
    ----------
    path
        The file, of one of `FORMATS` by its content.
    size
        Height and width to deliver, pixels.

    Returns
    -------
    numpy.ndarray
        (3, size, size), float32 from 0 to 1.

    Raises
    ------
    InputError
        Naming the file, which is missing, damaged or of a kind that would lose values.
    """
    # Imported here because it is slow to import and only these images need it.
    from PIL import Image, UnidentifiedImageError

    content = read_bytes(path, "image", most_bytes=MOST_BYTES)
    try:
        with warnings.catch_warnings():
            # Of metadata that is not used, and of sizes that are checked here.
            warnings.simplefilter("ignore")
            with Image.open(_Pieces(content), formats=FORMATS) as image:
                _require_bounds(image, content)
                _require_one(image)
                image.load()
                return _scaled(_upright(image), size)
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path} must be a whole image, one of {', '.join(FORMATS)} by its content"
        ) from error
    except InputError as error:
        raise InputError(f"{path} {error}") from error
    # Pillow's decoders fail in many ways on damaged files.
    except Exception as error:
        raise InputError(f"{path} must be a whole image: {error}") from error


def _require_bounds(image: Image.Image, content: bytes) -> None:
    pixels = image.width * image.height
    most = MOST_PIXELS
    if any(tile[0] == "ppm_plain" for tile in image.tile):
        most = _MOST_TEXT_PIXELS
    if pixels > most:
        raise InputError(f"must have at most {most} pixels, not {image.width}x{image.height}")
    # In coded data these two bytes never follow one another.
    if image.format in ("JPEG", "MPO") and pixels * content.count(b"\xff\xda") > _MOST_SCANNED:
        raise InputError(f"must have fewer scans for {image.width}x{image.height} pixels")


def _require_one(image: Image.Image) -> None:
    """Refuse what the decoder would round, and animations."""
    # A camera's file may have a preview or a second view; the image is the first.
    if getattr(image, "n_frames", 1) != 1 and image.format != "MPO":
        raise InputError(f"must be one image, not {image.n_frames} frames: choose one of them")
    for codec, _, _, arguments in image.tile:
        layout = arguments if isinstance(arguments, str) else arguments[0]
        if _ROUNDED.search(str(layout)) and not image.mode.startswith("I"):
            raise InputError(
                f"must have 8 bits per colour, not the layout {layout}, which would be rounded to "
                "them: convert it"
            )
        if codec.startswith("ppm") and not isinstance(arguments, str):
            wanted = 65535 if image.mode == "I" else 255
            if arguments[1] != wanted:
                raise InputError(f"must have values up to {wanted}, not {arguments[1]}: convert it")


def _upright(image: Image.Image) -> Image.Image:
    from PIL.Image import Transpose

    try:
        orientation = image.getexif().get(_ORIENTATION)
    # The metadata of many real photographs is damaged; their pixels are not.
    except Exception:  # noqa: BLE001
        orientation = None
    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation if isinstance(orientation, int) else None)
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.info = image.info
    return turned


def _scaled(image: Image.Image, size: int) -> np.ndarray:
    """Return the middle of an image as numbers."""
    _require_opaque(image)
    if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "PA"):
        cut = _middle(image.convert("RGB"), size)
        planes = np.asarray(cut, np.float32).transpose(2, 0, 1) / 255
    elif image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise InputError("must have values of 16 bits")
        planes = np.broadcast_to(_plane(values.astype(np.float32) / 65535, size), (3, size, size))
    elif image.mode == "CMYK":
        # 255 is full ink; a colour is the light that its ink and black let through.
        black = 1 - np.asarray(image.getchannel(3), np.float32) / 255
        planes = np.stack(
            [
                _plane((1 - np.asarray(image.getchannel(index), np.float32) / 255) * black, size)
                for index in range(3)
            ]
        )
    else:
        raise InputError(f"must be grey, RGB, CMYK or have a palette, not of the mode {image.mode}")
    return np.ascontiguousarray(planes, np.float32)


def _require_opaque(image: Image.Image) -> None:
    if image.mode in ("LA", "PA", "RGBA"):
        least = image.getchannel("A").getextrema()[0]
    elif image.info.get("transparency") is None:
        return
    elif image.mode in ("1", "L", "P", "RGB"):
        least = image.convert("RGBA").getchannel("A").getextrema()[0]
    else:
        least = 0
    if least != 255:
        raise InputError(
            "must have no transparent pixels, as nothing says what is behind them: flatten it"
        )


def _plane(values: np.ndarray, size: int) -> np.ndarray:
    from PIL import Image

    return np.asarray(_middle(Image.fromarray(values), size))


def _middle(image: Image.Image, size: int) -> Image.Image:
    """Scale an image and cut out its middle."""
    from PIL.Image import Resampling

    factor = size * _RESIZE_FACTOR / min(image.size)
    width, height = (max(size, round(side * factor)) for side in image.size)
    if width * height > MOST_PIXELS:
        raise InputError(
            f"must have sides whose ratio leaves at most {MOST_PIXELS} pixels when the shorter "
            f"is scaled for {size}, not {shown(image.size)}"
        )
    left, top = (width - size) // 2, (height - size) // 2
    image = image.resize((width, height), Resampling.BILINEAR)
    return image.crop((left, top, left + size, top + size))
