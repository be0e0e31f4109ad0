"""Error codes of an array that cuts its own jobs, by number."""

from __future__ import annotations

import enum

PASS_ERROR_WIDTH = 5
"""Bits of an error code."""


class PassError(enum.IntEnum):
    """What a run can report; a descriptor is checked in the order of these numbers."""

    NONE = 0
    BUS_READ = 1
    BUS_WRITE = 2
    START_BUSY = 3
    START_ADDRESS = 4
    START_PASSES = 5
    ABORTED = 6
    MODE = 7
    FORMAT = 8
    ADDRESS = 9
    STATIONARY = 10
    STREAMED = 11
    TAPS = 12
    TILES = 13
    WALK = 14
    TEAM = 15
    OUTPUT_RANGE = 16
    TABLE = 17
    STRIP = 18
    WINDOW = 19
    INDEX = 20


PASS_ERROR_MEANINGS = {
    PassError.NONE: "no error",
    PassError.BUS_READ: "a read was answered with SLVERR or DECERR; see BUS_ERROR",
    PassError.BUS_WRITE: "a write was answered with SLVERR or DECERR; see BUS_ERROR",
    PassError.START_BUSY: "a start was ignored because the array was busy",
    PassError.START_ADDRESS: "the list of passes begins at no multiple of 64 or ends beyond the "
    "array's address width, or MEMORY_BASE is not what it must be; a start was ignored",
    PassError.START_PASSES: "a start was ignored because the list has no passes",
    PassError.ABORTED: "the host aborted the run",
    PassError.MODE: "pass: mode is above 1",
    PassError.FORMAT: "pass: number_format is none of the array, window is above 1023, out_format "
    "is none of the number format, or shift is above 47, or not 0 although results are raw or "
    "floating-point",
    PassError.ADDRESS: "pass: an address of data, table or results is no multiple of 64 or beyond "
    "the memory port's address width, or data, table or output range end beyond it, or a step of "
    "results is no multiple of 16 results or 64 bytes",
    PassError.STATIONARY: "pass: a size of the stationary operand's strips is 0, or "
    "s_outer x s_mid x s_inner is not s_keys or fills the directory, or s_outer_last is above "
    "s_outer, or s_vectors is above 4",
    PassError.STREAMED: "pass: a size of the streamed operand's strips is 0, or t_vectors is above "
    "4, or t_split is above 4 + t_vectors, or t_rows_last is above t_rows, or a strip has 2^20 "
    "vectors or more",
    PassError.TAPS: "pass: taps_y or taps_x is 0 or above 16, or t_step is 0, or a look-up could "
    "reach keys that its word does not wait for",
    PassError.TILES: "pass: a count of tiles, samples, rows or columns is 0, or does not agree "
    "with the operands' strips",
    PassError.WALK: "pass: accumulators of a tile, from its steps, are more than those of a PE or "
    "not apart, or a product's could be none of them",
    PassError.TEAM: "pass: team is 0 or no divisor of the clusters, or chained is above 1, or 1 in "
    "kernel mode",
    PassError.OUTPUT_RANGE: "pass: results overlap or leave the output range, or that range meets "
    "an operand, a table or the list of passes",
    PassError.TABLE: "a table's offsets descend, or lie beyond the operand's data",
    PassError.STRIP: "a piece of strips ends before or after its data, a vector said to be "
    "occupied has an empty mask, a block says vectors beyond its strip, or, in kernel mode, a word "
    "has a channel that its chunk lacks",
    PassError.WINDOW: "the stationary chunks that a strip needs at a time do not fit the "
    "stationary memory or the directory",
    PassError.INDEX: "a product's accumulator is none of the PE's",
}
