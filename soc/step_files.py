"""A training step as files that the firmware is linked with."""

from __future__ import annotations

import numpy as np

from soc.step_image import StepImage

STEP_SOURCES = ("step_image.c", "step_image.S")
_FILES = {
    "step_content": "step_content.bin",
    "step_addresses": "step_addresses.bin",
    "step_accessed": "step_accessed.bin",
    "step_expected": "step_expected.bin",
}
"""Symbols, and the files with their bytes."""


def step_files(image: StepImage) -> dict[str, str | bytes]:
    """Return the files of `struct step_image step_image` of step.h, by name."""
    contents = (
        image.content.tobytes(),
        image.addresses.astype("<u4").tobytes(),
        np.concatenate([one.content for one in image.accesses]).tobytes(),
        image.expected.tobytes(),
    )
    # In `.gscn_image` as the images of `gscn image` are.
    assembly = '    .section .gscn_image, "a", %progbits\n' + "".join(
        f'    .balign 64\n    .global {symbol}\n{symbol}:\n    .incbin "{name}"\n'
        for symbol, name in _FILES.items()
    )
    accesses = "".join(
        f"    {{{one.stop}u, {int(one.writes)}u, {one.offset}u, {one.content.size}u}},\n"
        for one in image.accesses
    )
    source = f"""\
/* A training step: see step.h. */
#include "step.h"

extern const uint32_t step_content[], step_addresses[], step_expected[];
extern const uint8_t step_accessed[];

static const struct step_access accesses[] = {{
{accesses}}};

const struct step_image step_image = {{
    .digest = UINT64_C(0x{image.config.digest()}),
    .content = step_content,
    .expected = step_expected,
    .words = {image.content.size // 4}u,
    .places = {image.places}u,
    .addresses = step_addresses,
    .address_count = {image.addresses.size}u,
    .accesses = accesses,
    .access_count = {len(image.accesses)}u,
    .accessed = step_accessed,
}};
"""
    texts = dict(zip(STEP_SOURCES, (source, assembly), strict=True))
    return {**texts, **dict(zip(_FILES.values(), contents, strict=True))}
