"""Counts that the tilings of forward and input-gradient passes share."""

from __future__ import annotations

import itertools

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.errors import InputError
from gscn.lowering.geometry import Axis, Ranking, classify
from gscn.lowering.maps import MapProblem
from gscn.lowering.options import LoweringOptions

FIELD_LIMIT = 32767
"""Largest magnitude of a key or an offset."""


def map_work(problem: MapProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Products (owner, result row of all samples), words per result row, and products per channel.

    A word's products are booked on the row that the middle of the kernel gives it.
    """

    def phases(axis: Axis) -> int:
        return int(max(axis.kernel.phase.max(), axis.map.phase.max())) + 1

    row_phases, col_phases = phases(problem.rows), phases(problem.cols)
    classes = problem.channels * row_phases * col_phases

    def code(minor: np.ndarray, row_phase: np.ndarray, col_phase: np.ndarray) -> np.ndarray:
        return (minor * row_phases + row_phase) * col_phases + col_phase

    kernel, maps = problem.kernel, problem.maps
    kernel_code = code(
        kernel.minor, problem.rows.kernel.phase[kernel.row], problem.cols.kernel.phase[kernel.col]
    )
    map_code = code(maps.minor, problem.rows.map.phase[maps.row], problem.cols.map.phase[maps.col])
    kernels = np.bincount(
        kernel.major * classes + kernel_code, minlength=problem.owners * classes
    ).reshape(problem.owners, classes)
    middle = int(np.median(problem.rows.kernel.shift))
    target = np.clip(problem.rows.map.shift + middle, 0, problem.rows.extent - 1)
    rows = problem.samples * problem.rows.extent
    row = maps.major * problem.rows.extent + target[maps.row]
    used = np.flatnonzero(np.bincount(kernel_code, minlength=classes))
    position = np.full(classes, -1)
    position[used] = np.arange(used.size)
    known = position[map_code] >= 0
    words = np.bincount(
        position[map_code[known]] * rows + row[known], minlength=used.size * rows
    ).reshape(used.size, rows)
    work = kernels[:, used].astype(np.float32) @ words.astype(np.float32)
    per_channel = np.bincount(
        used // (row_phases * col_phases),
        weights=kernels[:, used].sum(axis=0) * words.sum(axis=1),
        minlength=problem.channels,
    )
    return work.astype(np.float64), words.sum(axis=0).astype(np.float64), per_channel


def trims(problem: MapProblem, options: LoweringOptions) -> tuple[bool, ...]:
    """Return the ways to treat border columns that are worth planning: one if there are none."""
    if options.trim is not None:
        return (options.trim,)
    return (True, False) if problem.cols.reach else (True,)


def col_bounds(axis: Axis, row_reach: int, trim: bool, config: AcceleratorConfig) -> np.ndarray:
    """Cut columns so that at least one row fits the accumulators and the offset fields."""
    guard = 0 if trim else axis.reach
    strips = 1
    while True:
        width = -(-axis.extent // strips)
        pitch = width + guard
        if pitch + guard <= config.acc_depth and (2 + row_reach) * pitch <= FIELD_LIMIT:
            return np.unique(np.append(np.arange(0, axis.extent, width), axis.extent))
        if width == 1:
            raise InputError(
                f"acc_depth must hold one result and its guard cells, {1 + 2 * guard} cells, not "
                f"{config.acc_depth} (or the kernel reaches over more than {FIELD_LIMIT} offsets)"
            )
        strips += 1


def copy_count(problem: MapProblem, bounds: np.ndarray, trim: bool, held_kernel: bool) -> float:
    """Count the copies of each stationary entry that trimming the columns makes, on average."""
    if not trim:
        return 1.0
    held = problem.cols.kernel if held_kernel else problem.cols.map
    other = problem.cols.map if held_kernel else problem.cols.kernel
    ranking = Ranking.of(held)
    totals = []
    for low, high in itertools.pairwise(bounds):
        classes = classify([ranking.window(other, int(low), int(high))])
        totals.append(float((classes.last - classes.first).sum()) / held.shift.size)
    return max(totals)
