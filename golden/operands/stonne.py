"""Recorded passes as STONNE reads them: bitmaps of both matrices, and their nonzeros in memory.

Format: the parameters of STONNE's component for SST, operation `bitmapSpMSpM`, and the files that
it reads at its start (`sstStonne.cc`, `constructBitmap` and `constructMemory`): numbers in decimal
with commas between. Bitmaps have a 0 or 1 for each element, the rows of A = (M, K) and of B = (K,
N) one after the other. Memory has a word of 32 bits for each nonzero, an IEEE 754 float as a whole
number: those of A by rows, then those of B by columns, and a last 0 that nobody reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from gscn.errors import InputError
from gscn.golden.operands.matrices import Product

MEMORY, BITMAP_A, BITMAP_B, PARAMETERS = "mem.ini", "bitmap_a.in", "bitmap_b.in", "parameters.json"
RESULT = "result.out"
WORD_BYTES = 4
LEAST = 3
"""Marked elements of a row of A and of a column of B."""


def write(products: Iterable[Product], folder: Path) -> None:
    """Write a folder for each product: memory, bitmaps and the component's parameters.

    One matrix of a product at a time is in memory, the larger one as its nonzeros.

    Raises
    ------
    InputError
        A product has a contraction of fewer than `LEAST`.
    """
    for product in products:
        if product.contraction < LEAST:
            raise InputError(
                f"{product.name}: products of a result must be at least {LEAST} for STONNE, "
                f"not {product.contraction}"
            )
        place = folder / product.name
        place.mkdir()
        _write(product, place)


def _write(product: Product, place: Path) -> None:
    left = product.left
    # Columns of the transposed matrix are rows of A.
    marked = np.stack(list(_marked(left.T, np.count_nonzero(left, axis=1))), axis=1)
    _write_bits(place / BITMAP_A, iter(marked))
    _write_bits(place / BITMAP_B, _marked_right(product))
    with (place / MEMORY).open("w", encoding="ascii") as file:
        counts = [_write_words(file, values) for values in (left[marked], _by_columns(product))]
        file.write("0")
    address_b, address_c = (WORD_BYTES * sum(counts[:end]) for end in (1, 2))
    parameters = {
        "kernelName": product.name,
        "kernelOperation": "bitmapSpMSpM",
        "GEMM_M": product.rows,
        "GEMM_N": product.columns,
        "GEMM_K": product.contraction,
        "mem_init": MEMORY,
        "bitmap_matrix_a_init": BITMAP_A,
        "bitmap_matrix_b_init": BITMAP_B,
        "matrix_a_dram_address": 0,
        "matrix_b_dram_address": address_b,
        "matrix_c_dram_address": address_c,
        "mem_matrix_c_file_name": RESULT,
    }
    (place / PARAMETERS).write_text(json.dumps(parameters, indent=1) + "\n", encoding="ascii")


def _marked(rows: Iterable[np.ndarray], counts: np.ndarray) -> Iterator[np.ndarray]:
    """Yield which elements of a matrix's rows are marked, so that each column has `LEAST` of them.

    Parameters
    ----------
    rows
        Of the matrix.
    counts
        Nonzeros of each column.
    """
    lacking = np.maximum(LEAST - counts, 0)
    for row in rows:
        added = (row == 0) & (lacking > 0)
        lacking -= added
        yield (row != 0) | added


def _marked_right(product: Product) -> Iterator[np.ndarray]:
    """Yield the rows of B's bitmap."""
    counts = np.zeros(product.columns, np.int64)
    for row in product.right_rows():
        counts += row != 0
    return _marked(product.right_rows(), counts)


def _by_columns(product: Product) -> np.ndarray:
    """Return the marked elements of the right matrix, column by column."""
    columns, values = [], []
    for row, marked in zip(product.right_rows(), _marked_right(product), strict=True):
        found = np.flatnonzero(marked)
        columns.append(found)
        values.append(row[found])
    # Stable: within a column, the order of rows.
    order = np.argsort(np.concatenate(columns), kind="stable")
    return np.concatenate(values)[order]


def _write_bits(path: Path, rows: Iterator[np.ndarray]) -> None:
    """Write rows of a bitmap, without a comma at the end."""
    separator = b""
    with path.open("wb") as file:
        for row in rows:
            text = np.full((row.size, 2), ord(","), np.uint8)
            text[:, 0] = ord("0") + row
            file.write(separator + text.tobytes()[:-1])
            separator = b","


def _write_words(file: TextIO, values: np.ndarray) -> int:
    """Write floats as whole numbers, with a comma behind each; return how many."""
    words = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    for start in range(0, len(words), 1 << 16):
        piece = words[start : start + (1 << 16)]
        file.write("".join(f"{word}," for word in piece.tolist()))
    return len(words)
