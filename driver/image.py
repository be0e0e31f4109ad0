"""Files of an image of passes: for a loader, and to be linked with the C driver."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gscn.driver.list_image import ListImage

IMAGE_FILE, EXPECTED_FILE, LIST_FILE = "image.bin", "expected.bin", "image.json"
TEXT_FILE = "image.txt"
"""The same numbers as in the JSON, for what reads no JSON: testbenches in Verilog."""
_ASSEMBLY = f"""\
/* Section .gscn_image: {IMAGE_FILE} and {EXPECTED_FILE}; for the GNU assembler. */
    .section .gscn_image, "a", %progbits
    .balign 64
    .global gscn_image_bytes
gscn_image_bytes:
    .incbin "{IMAGE_FILE}"
    .balign 64
    .global gscn_image_expected
gscn_image_expected:
    .incbin "{EXPECTED_FILE}"
    .section .note.GNU-stack, "", %progbits
"""
_HEADER = """\
/* Written by `gscn image`: passes and their expected results, for gscn_load and gscn_run. */
#ifndef GSCN_IMAGE_H
#define GSCN_IMAGE_H

#include "gscn_driver.h"

extern const struct gscn_image gscn_image;

#endif
"""


def _text(listing: Mapping[str, Any]) -> str:
    """Return the list of an image as lines of numbers; digest and addresses are hexadecimal.

    The first line has digest, base, bytes, bytes with results, passes and results; each other one
    address and bytes of a result.
    """
    sizes = [listing[name] for name in ("bytes", "memory_bytes", "pass_count")]
    head = [listing["config_digest"], f"{listing['base']:x}", *sizes, len(listing["outputs"])]
    results = [f"{one['address']:x} {one['bytes']}" for one in listing["outputs"]]
    return "\n".join([" ".join(map(str, head)), *results]) + "\n"


def image_files(image: ListImage, base: int, expected: bytes) -> dict[str, str | bytes]:
    """Return the files of an image at an address, by name.

    `image.bin` is what memory must have from `base` on, `expected.bin` the right results, one
    range of `image.json` behind the other; bytes among them that no pass writes are 0, so that
    memory behind the image must be cleared before. With the C driver beside them, `gscn_image.c`
    and `gscn_image.S` are the same as `gscn_image`, which may be loaded to any address.

    Parameters
    ----------
    image
        Passes with their operands.
    base
        Byte address of the image, a multiple of 64.
    expected
        All results.

    Raises
    ------
    InputError
        As by `ListImage.at`.
    """
    content = image.at(base).tobytes()
    digest = image.config.digest()
    listing = {
        "config_digest": digest,
        "base": base,
        "bytes": len(content),
        "memory_bytes": image.memory_bytes,
        "passes_addr": base,
        "pass_count": image.pass_count,
        "outputs": [
            {"address": base + low, "bytes": high - low} for low, high in image.output_ranges
        ],
        "sha256": {
            IMAGE_FILE: hashlib.sha256(content).hexdigest(),
            EXPECTED_FILE: hashlib.sha256(expected).hexdigest(),
        },
    }
    ranges = ",\n".join(f"    {{{low}u, {high - low}u}}" for low, high in image.output_ranges)
    source = f"""\
/* Written by `gscn image`; see gscn_image.h. */
#include "gscn_image.h"

extern const uint8_t gscn_image_bytes[], gscn_image_expected[]; /* gscn_image.S */

static const struct gscn_range outputs[] = {{
{ranges},
}};

const struct gscn_image gscn_image = {{
    .digest = UINT64_C(0x{digest}),
    .base = UINT64_C(0x{base:x}),
    .bytes = gscn_image_bytes,
    .size = {len(content)}u,
    .memory_bytes = {image.memory_bytes}u,
    .pass_count = {image.pass_count}u,
    .output_count = {len(image.output_ranges)}u,
    .outputs = outputs,
    .expected = gscn_image_expected,
}};
"""
    return {
        IMAGE_FILE: content,
        EXPECTED_FILE: expected,
        LIST_FILE: json.dumps(listing, indent=2) + "\n",
        TEXT_FILE: _text(listing),
        "gscn_image.h": _HEADER,
        "gscn_image.c": source,
        "gscn_image.S": _ASSEMBLY,
    }
