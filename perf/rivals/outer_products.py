"""The outer-product arrays of the comparison, and the one by which they are calibrated."""

from __future__ import annotations

import dataclasses

from gscn.perf.rivals.scnn import OuterProduct

_VECTORS = (
    "PEs of 4 x 4 multipliers, as many as there are multipliers for; 4 image and 4 kernel "
    "nonzeros of a channel meet in a cycle, and vectors are filled as far as nonzeros last."
)
_EITHER = (
    "Either each PE has a tile of every image plane and the kernels of a group of result "
    "channels are broadcast, or each PE takes whole pairs of an image and a kernel plane, "
    "and every PE is always busy: whichever is faster for the layer and pass. In the first, "
    "PEs may share out samples and groups as well as tiles, a PE has 6144 accumulators, of "
    "which halos take none, and PEs wait for each other only at the end of a group."
)
_PLANES = (
    "Each PE takes whole pairs of an image and a kernel plane, which start at once, and every PE "
    "is always busy."
)
_OTHERWISE = (
    (
        "Products that reach no result are dropped before the crossbar. Each of the 32 banks "
        "takes one product in a cycle, and 8 more may wait at it; stalls beyond that are measured "
        "on 1000 image vectors of the pass."
    ),
    (
        "A stride splits image and kernel into phases that never meet. Halos and the sums over "
        "PEs of a weight gradient are exchanged at no cost. Fully connected layers and, where that "
        "is faster, weight gradients of 1x1 kernels are matrix products: outer products of the "
        "channels at each pixel, none of them redundant."
    ),
    (
        "Operands are read once: nonzeros with 4 bits each for the distance to the one before; "
        "results are written once, zeros included."
    ),
    (
        "Groups of a convolution are computed one after the other, each with the mapping that is "
        "faster for it."
    ),
)
_SHARED = (_VECTORS, _EITHER, *_OTHERWISE)
_WEIGHT_GRAD = (
    "Any other weight gradient has the inputs as image and the output gradients as kernel, as "
    "large as they are: all nonzeros of a channel pair are multiplied, though few products reach "
    "the result."
)

SCNN_PLUS = OuterProduct(
    name="scnn+",
    title="SCNN+ (outer products)",
    source=("Parashar et al., ISCA 2017, with the extension to training of Lew et al., ISCA 2022"),
    assumptions=(*_SHARED, _WEIGHT_GRAD),
)
"""The baseline of ANT's publication."""

_ANTICIPATION = (
    (
        "The least and greatest coordinates of the 4 image nonzeros bound those of the kernel "
        "nonzeros: rows outside are not read, 16 nonzeros of the others are looked at in a "
        "cycle, and those within the bounds fill vectors of 4."
    ),
    "The bounds are known in time: anticipation itself takes no cycle.",
)

ANT = OuterProduct(
    name="ant",
    title="ANT-style (anticipated outer products)",
    source="Lew et al., ISCA 2022",
    anticipates=True,
    assumptions=(*_SHARED, *_ANTICIPATION),
)

PLANE_PAIRS = (
    dataclasses.replace(
        SCNN_PLUS,
        name="scnn+ planes",
        title="SCNN+, plane pairs",
        mappings=("planes",),
        assumptions=(_VECTORS, _PLANES, *_OTHERWISE, _WEIGHT_GRAD),
    ),
    dataclasses.replace(
        ANT,
        name="ant planes",
        title="ANT-style, plane pairs",
        mappings=("planes",),
        assumptions=(_VECTORS, _PLANES, *_OTHERWISE, *_ANTICIPATION),
    ),
)
"""Both with the mapping whose ratio is the published one."""

MATCHED = dataclasses.replace(
    SCNN_PLUS,
    name="scnn+ matched",
    title="SCNN+ with matched tiles",
    matched_tiles=True,
    source="no publication",
    assumptions=(
        *_SHARED,
        (
            "In the first mapping a tile of the image meets only that part of the kernel plane "
            "that can reach a result with it, which in a weight gradient is the tile of output "
            "gradients at the same place and its surroundings."
        ),
    ),
)
"""An outer-product array that tiles both maps of a weight gradient, which no publication has."""

DNNSIM_SCNN = OuterProduct(
    name="scnn (DNNsim)",
    title="SCNN as DNNsim counts it",
    source="public simulator github.com/isakedo/DNNsim, architecture SCNN",
    queue=0,
    barrier="channel",
    mappings=("tiles",),
    matrix_form=False,
    free_tiling=False,
    exact_crossbar=True,
    counts_halos=True,
    assumptions=(
        "PEs wait for each other after every channel of a group of result channels.",
        "Nothing waits at a bank: a vector pair takes as many cycles as its busiest bank.",
        "The padded plane is cut into tiles of equal size; the last ones may be empty.",
        (
            "After each group the partial sums of the largest halo region are exchanged, one a "
            "cycle for every result channel."
        ),
    ),
)
