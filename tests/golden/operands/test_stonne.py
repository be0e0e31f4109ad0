"""Files for STONNE, read as its sources read them, by a reader written here.

STONNE itself is not on the package index.
"""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from gscn.conv import Pass
from gscn.conv_groups import join_groups
from gscn.golden.operands.matrices import products
from gscn.golden.operands.stonne import write
from tests.golden.operands.recorded import SHAPES, recorded


def words(path):
    return [int(word) for line in path.read_text().splitlines() for word in line.split(",")]


def multiplied(place):
    """Return the product that the files of a folder describe, in double precision."""
    told = json.loads((place / "parameters.json").read_text())
    assert told["kernelOperation"] == "bitmapSpMSpM"
    m, n, k = (told[f"GEMM_{axis}"] for axis in "MNK")
    # Memory is bytes, the least of a word first.
    memory = b"".join(struct.pack("<I", word) for word in words(place / told["mem_init"]))
    bits_a = np.array(words(place / told["bitmap_matrix_a_init"])).reshape(m, k)
    bits_b = np.array(words(place / told["bitmap_matrix_b_init"])).reshape(k, n)
    a, b = np.zeros((m, k)), np.zeros((k, n))
    address = told["matrix_a_dram_address"]
    for row, column in np.argwhere(bits_a):
        (a[row, column],) = struct.unpack_from("<f", memory, address)
        address += 4
    assert address == told["matrix_b_dram_address"]
    for column, row in np.argwhere(bits_b.T):
        (b[row, column],) = struct.unpack_from("<f", memory, address)
        address += 4
    assert address == told["matrix_c_dram_address"] == len(memory) - 4
    assert np.count_nonzero(a) == bits_a.sum()
    assert np.count_nonzero(b) == bits_b.sum()
    return a @ b


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("kind", SHAPES)
def test_the_files_of_a_pass_multiply_to_its_result(kind, which, tmp_path):
    shape, one = SHAPES[kind], recorded(SHAPES[kind], which)
    made = list(products("layer", shape, one))
    write(made, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(one.name for one in made)
    found = [product.matrices.result(multiplied(tmp_path / product.name)) for product in made]
    assert np.array_equal(join_groups(which, found), one.result)


def test_bits_and_words_of_a_product_by_hand(tmp_path):
    shape = SHAPES["pointwise"].__class__(n=1, c=2, h=1, w=2, k=1, r=1, s=1)
    one = recorded(shape, Pass.FORWARD)
    one.first[...] = np.array([0.0, 1.0]).reshape(1, 2, 1, 1)
    one.second[...] = np.array([[0.0, 2.0], [-1.0, 0.5]]).reshape(1, 2, 1, 2)
    write(products("one", shape, one), tmp_path)
    place = tmp_path / "one.forward"
    assert (place / "bitmap_a.in").read_text() == "0,1"
    assert (place / "bitmap_b.in").read_text() == "0,1,1,1"
    # 1.0; then by columns -1.0, and 2.0, 0.5.
    values = (0x3F800000, 0xBF800000, 0x40000000, 0x3F000000, 0)
    assert (place / "mem.ini").read_text() == ",".join(map(str, values))
