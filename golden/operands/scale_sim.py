"""Recorded passes as SCALE-Sim 3 reads them: a topology of matrix products with N:M sparsity.

Format: `scalesim.topology_utils.topologies.load_arrays_gemm` and `scalesim.scale_config` of
scalesim 3.0.0. Its matrix products are those of `golden.operands.matrices`, so that all three
passes have a row, mini-batch included, where its convolutions are forward passes of one image.

SCALE-Sim has one sparse operand, the filter, and knows its zeros as N of M in each column alone:
the sparser operand of each pass takes that place, with the least N that keeps its share of
nonzeros. Where they are, and the other operand's zeros, it has no place for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gscn.errors import InputError
from gscn.golden.operands.matrices import Product

TOPOLOGY, LAYOUT, CONFIGURATION = "topology.csv", "layout.csv", "scale.cfg"
BLOCK = 64
"""M of N:M, or the contraction where that is shorter: shares are kept to 1.6 points."""

_HEADER = "Layer name, M, N, K, Sparsity,"
_CONFIGURATION = """[general]
run_name = gscn_operands

[architecture_presets]
ArrayHeight: 16
ArrayWidth: 16
IfmapSramSzkB: 256
FilterSramSzkB: 256
OfmapSramSzkB: 128
IfmapOffset: 0
FilterOffset: 1000000000
OfmapOffset: 2000000000
Bandwidth: 64
Dataflow: ws
ReadRequestBuffer: 64
WriteRequestBuffer: 64

[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2

[sparsity]
SparsitySupport: true
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40

[run_presets]
InterfaceBandwidth: USER
UseRamulatorTrace: False
"""
"""The array is an example; `[sparsity]` lets rows of the topology have their N:M."""


def row(product: Product) -> tuple[str, int, int, int, str]:
    """Return the name, M, N, K and sparsity of a product, as SCALE-Sim names them.

    Its M by K operand streams, its K by N operand, the filter, is sparse.

    Raises
    ------
    InputError
        The layer's name has a comma.
    """
    left = int(np.count_nonzero(product.left)) / product.left.size
    right = product.right_nonzeros() / (product.contraction * product.columns)
    m, n = product.columns, product.rows
    if right < left:
        m, n = n, m
    block = min(BLOCK, product.contraction)
    # Products of shares and blocks are whole numbers, but for the last bits.
    kept = max(1, math.ceil(min(left, right) * block - 1e-9))
    if "," in product.name:
        raise InputError(f"name of a layer in SCALE-Sim must have no comma: {product.name!r}")
    return product.name, m, n, product.contraction, f"{kept}:{block}"


def write(products: Iterable[Product], folder: Path) -> None:
    """Write the files of products: topology, configuration, and a layout that says nothing."""
    lines = [_HEADER, *(", ".join(map(str, row(one))) + "," for one in products)]
    (folder / TOPOLOGY).write_text("\n".join(lines) + "\n", encoding="utf-8")
    # SCALE-Sim opens one even where `[layout]` says that there is none.
    (folder / LAYOUT).write_text("Layer name,\n", encoding="utf-8")
    (folder / CONFIGURATION).write_text(_CONFIGURATION, encoding="utf-8")
