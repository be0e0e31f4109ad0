"""Files for STONNE, read as its sources read them, by a reader written here.

STONNE itself is not on the package index.
"""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from gscn.conv import ConvShape, Pass
from gscn.conv_groups import join_groups
from gscn.errors import InputError
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
    # Its adders need three addends; no more zeros are marked than that takes.
    for bits, values in ((bits_a, a), (bits_b.T, b.T)):
        expected = np.maximum(np.count_nonzero(values, axis=1), 3)
        assert np.array_equal(bits.sum(axis=1), expected)
        assert not (bits[:, 3:] & (values[:, 3:] == 0)).any()
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
    shape = ConvShape(n=1, c=4, h=1, w=2, k=1, r=1, s=1)
    one = recorded(shape, Pass.FORWARD)
    one.first[...] = np.array([0.0, 1.0, 0.0, -0.5]).reshape(1, 4, 1, 1)
    one.second[...] = np.array([[1, 0], [2, 0.5], [4, 0], [0, 0]]).reshape(1, 4, 1, 2)
    write(products("one", shape, one), tmp_path)
    place = tmp_path / "one.forward"
    # The first 0 of A, and the first two of the second column of B, are marked.
    assert (place / "bitmap_a.in").read_text() == "1,1,0,1"
    assert (place / "bitmap_b.in").read_text() == "1,1,1,1,1,1,0,0"
    values = (0, 0x3F800000, 0xBF000000, 0x3F800000, 0x40000000, 0x40800000, 0, 0x3F000000, 0, 0)
    assert (place / "mem.ini").read_text() == ",".join(map(str, values))


def test_a_contraction_that_its_adders_cannot_have_is_refused(tmp_path):
    shape = ConvShape(n=1, c=2, h=2, w=2, k=1, r=1, s=1)
    with pytest.raises(InputError, match=r"one\.forward: .* at least 3 for STONNE, not 2"):
        write(products("one", shape, recorded(shape, Pass.FORWARD)), tmp_path)
