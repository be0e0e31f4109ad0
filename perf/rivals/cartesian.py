"""A pass as Cartesian products: every nonzero of an image meets every one of a kernel.

An outer-product array holds nonzeros of an image plane and multiplies them with the nonzeros of all
kernel planes of the same contraction channel. The three passes are such convolutions of planes:

===============  ===============  ===============  ==================  =================
pass             image            kernel           contraction         result
===============  ===============  ===============  ==================  =================
forward          activations      weights          input channels      batch x outputs
input gradient   output gradients weights          output channels     batch x inputs
weight gradient  activations      output gradients batch               inputs x outputs
===============  ===============  ===============  ==================  =================

A stride splits the planes into phases that never meet; only nonzeros of equal phase are multiplied.
Whether a product belongs to a result is known from its coordinates: it does if the sum of the two
shifts is a coordinate of the result on both axes (`perf.rivals.geometry`). Kernel shifts never rise
with the kernel's coordinate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.perf.rivals.geometry import Axis, Side, gather_axis, kernel_axis, scatter_axis
from gscn.perf.rivals.windows import met_inputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Cartesian:
    """One pass as a convolution of planes."""

    image: np.ndarray
    """bool, (samples, contraction channels, rows, columns)."""
    kernel: np.ndarray
    """bool, (result channels, contraction channels, rows, columns)."""
    rows: Axis
    """`map` is the image's side."""
    columns: Axis
    padding: tuple[int, int]
    """Of the image."""

    @classmethod
    @takes_text
    def of(cls, shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray) -> Cartesian:
        """Return the planes of a pass from its masks."""
        padding = (0, 0) if which is Pass.INPUT_GRAD else shape.padding
        if which is Pass.FORWARD:
            kernel, image = first, second
            rows, columns = gather_axis(shape, 0), gather_axis(shape, 1)
        elif which is Pass.INPUT_GRAD:
            # turned around, so that the kernel's shifts fall with its coordinates in every pass
            kernel, image = first.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1], second
            rows, columns = _turned(scatter_axis(shape, 0)), _turned(scatter_axis(shape, 1))
        else:
            kernel, image = first.transpose(1, 0, 2, 3), second.transpose(1, 0, 2, 3)
            rows, columns = kernel_axis(shape, 0), kernel_axis(shape, 1)
        if image.shape[2:] == kernel.shape[2:] == (1, 1) and padding == (0, 0):
            # A matrix product: samples become the rows of one plane, so that vectors can be filled.
            image = image.transpose(2, 1, 0, 3)
            samples, zero = np.arange(image.shape[2]), np.zeros(1, np.int64)
            rows = Axis(Side(zero, zero), Side(np.zeros_like(samples), samples), samples.size)
        return cls(image=image, kernel=kernel, rows=rows, columns=columns, padding=padding)

    @classmethod
    def of_pixels(cls, shape: ConvShape, grads: np.ndarray, inputs: np.ndarray) -> Cartesian:
        """Return the weight gradient of a 1x1 kernel as products of the channels at each pixel.

        The contraction is over the output pixels of all samples; no product is redundant.
        """
        (met,) = met_inputs(shape, inputs)
        zero = np.zeros(1, np.int64)
        channels = np.arange(shape.c)
        return cls(
            image=met.transpose(0, 2, 3, 1).reshape(1, -1, shape.c, 1),
            kernel=grads.transpose(1, 0, 2, 3).reshape(shape.k, -1, 1, 1),
            rows=Axis(Side(zero, zero), Side(np.zeros_like(channels), channels), shape.c),
            columns=Axis(Side(zero, zero), Side(zero, zero), 1),
            padding=(0, 0),
        )

    @property
    def result_extent(self) -> tuple[int, int]:
        """Rows and columns of a plane of the result."""
        return self.rows.extent, self.columns.extent

    @property
    def phases(self) -> int:
        """Classes of coordinates that never meet one another."""
        return self._phases(self.rows) * self._phases(self.columns)

    @staticmethod
    def _phases(axis: Axis) -> int:
        return 1 + int(max(axis.kernel.phase.max(), axis.map.phase.max()))

    def image_nonzeros(self) -> Entries:
        """Return the nonzeros of the image that meet any coordinate of the kernel."""
        met = self.image & self.rows.meets[:, None] & self.columns.meets
        return self._entries(met, self.rows.map, self.columns.map)

    def kernel_nonzeros(self) -> Entries:
        """Return the nonzeros of the kernel."""
        return self._entries(self.kernel, self.rows.kernel, self.columns.kernel)

    def _entries(self, mask: np.ndarray, rows: Side, columns: Side) -> Entries:
        plane, channel, row, column = np.nonzero(mask)
        return Entries(
            plane=plane,
            channel=channel,
            row=row,
            column=column,
            phase=rows.phase[row] * self._phases(self.columns) + columns.phase[column],
            row_shift=rows.shift[row],
            column_shift=columns.shift[column],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Entries:
    """Nonzeros of planes, int64 vectors of equal length."""

    plane: np.ndarray
    """Sample of an image, result channel of a kernel."""
    channel: np.ndarray
    """Contraction channel."""
    row: np.ndarray
    column: np.ndarray
    phase: np.ndarray
    row_shift: np.ndarray
    column_shift: np.ndarray


def _turned(axis: Axis) -> Axis:
    return Axis(Side(axis.kernel.phase[::-1], axis.kernel.shift[::-1]), axis.map, axis.extent)
