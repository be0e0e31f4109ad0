"""The hand-written parts of docs/results/rivals.md."""

from __future__ import annotations

INTRODUCTION = """# Rivals

What other accelerators would take for the
same passes, with as many multipliers, at the same clock, over the same memory port
(`perf.rivals`). A pass costs the longest of computing, reading and writing, which overlap; every
model reads the operands once, in its own compressed form, and writes the results once, so that
chips are taken to be large enough for a whole layer. The models are driven by the operands: they
count in the zeros of real or random tensors what the published control would do with them.

Where a publication leaves something open, or where a public simulator counts what a good design
could hide, the model that is compared has the choice that favours the rival, and says so below.
To see that a model is right at all, it, or a form of it without those favours, is first run on
what a simulator of that accelerator was run on."""

CALIBRATION = """## Calibration

One layer: 3x3, 64 to 64 channels, 56x56, padding 1, batch 1, masks uniform random, memory without
limit; then the convolutions of ResNet-18 at 224x224, batch 1. The tools' cycles were measured
with the tools. "Its model here" counts as the tool does; "model compared with" is what other
tables of this project use.

What the tools count, as read in their sources:

* DNNsim, SCNN: 4x4 multipliers and 6144 accumulators per PE, PEs in a square. The padded plane is
  cut into one tile per PE. A vector pair takes as many cycles as its busiest of 32 banks has
  products. All PEs wait for the slowest after every channel of every group of result channels,
  and after each group the largest region of a halo is exchanged, one partial sum per cycle and
  result channel. In a weight gradient, where output gradients are 56x56 kernels, that exchange of
  54x54 sums for each of 64x64 results is 11,943,936 of the cycles: it shows what the mapping that
  the tool was given costs there, not what an array would have to do. The simulator is one for
  inference. Its figures are several times those of the model compared with, which lets products
  wait at the banks and PEs run ahead within a group; a second public model of the same
  publication says 2,104 cycles where DNNsim says 8,723.
* DNNsim, TensorDash: the operand with more zeros, padding included, is scheduled; a step is 16
  channels of one kernel position (16 pixels in a weight gradient), up to two steps of zeros are
  skipped after each, and rows of a tile move on together. The number of tiles is not used: 1024
  multipliers are one tile of 4 rows and 16 columns, here four tiles, which wastes less at edges.
  Here both operands are tried, and lanes look first at their own value ahead, as published; the
  tool looks first at a neighbour's.
* STONNE, SIGMA-like: rows of the stationary operand, weights or output gradients, stay whole if
  they fit, and a streamed vector takes a cycle. It adds about 12 cycles per filling, which are
  left out here. The publication fills multipliers regardless of rows; the model compared with
  does so, and may hold either operand.
* SCALE-Sim: a 16x16 weight-stationary array. Each filling lasts as many cycles as vectors are
  streamed and 46 more to load and to empty it: 144 * (3136 + 46) - 1 = 458,207 in the forward
  pass and 7056 * (64 + 46) - 1 = 776,159 in the weight gradient.
* Sparseloop: expected products divided by the multipliers, all busy, padding counted."""

REASONS = {
    ("dense", "weight-grad, 100 % x 100 %"): (
        "short streams: 7056 fillings of 64 vectors with 46 cycles of overhead each; the dense "
        "array here has none"
    ),
}
"""By model and case: why a model is more than a tenth from its tool."""

SHARES = """## Redundant products

An outer-product array multiplies all pairs of nonzeros of two planes. In a weight gradient these
are two large maps, of which only pairs at nearly the same place reach one of 3x3 results. Share
of useful products, 3x3 layers with 64 channels, batch 1, both operands 90 % sparse, 1024
multipliers:"""

NETWORKS = """## ANT over SCNN+

Published (Lew et al., ISCA 2022): ANT is 3.71 times faster than SCNN+ on 90 % sparse training, as
a geometric mean over DenseNet-121, ResNet-18, VGG-16, a Wide ResNet and ResNet-50, and up to 90 %
of an outer-product array's computations are redundant. The abstract names neither the images nor
the mapping of planes to PEs, so both are varied. Training steps of one image, all convolutions of
all three passes (no input gradient of the first layer), whole layers, no sampling; all operands
90 % sparse at random; 1024 multipliers, computing only.

"Plane pairs": every PE takes one image plane and one kernel plane at a time; a pair may take some
cycles to start. The columns before let each layer choose between plane pairs and tiles. "Matched
tiles": in a weight gradient the PE with a tile of the inputs is given only that part of the output
gradients that can reach a result with it. Weight gradients of 1x1 kernels are products of matrices
wherever that is faster, without redundant products in either array."""

CONCLUSION = """The model of SCNN+ and the model of ANT differ in anticipation alone. Plane pairs
that start at once (`scnn+ planes`, `ant planes`), on the images that papers on sparse training use,
32x32 for all but ResNet-50, are the mapping that gives the published ratio: {small[planes_0]:.2f},
where {published} is published. A start of 5 cycles, which both pay, hides part of what anticipation
wins: {small[planes_5]:.2f}. With tiles to choose from (`scnn+`, `ant`), image vectors are more
compact and anticipation leaves out more: {small[ant]:.2f}. At 224x224 the maps of weight gradients
are larger, more of SCNN+'s products are redundant, and the three ratios are {large[planes_0]:.2f},
{large[planes_5]:.2f} and {large[ant]:.2f}: the published mean, and its "up to 90 %" of redundant
computations, do not fit maps of that size under any of these mappings.

So a speed-up over `scnn+` depends on the size of the maps more than on anything that is compared.
It should be read beside that of `ant` over `scnn+` on the same layers; only on the networks of the
first table can it be read beside {published}. `ant` is the rival whose time says something about
two-sided sparsity.

An outer-product array need not be as redundant as SCNN+. With matched tiles, which no publication
describes, it is {small[matched]:.2f} times faster than SCNN+ ({large[matched]:.2f} at 224x224), and
ANT's gain over it is {small[ant_over_matched]:.2f} ({large[ant_over_matched]:.2f})."""
