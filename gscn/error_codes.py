"""Error codes: everything that a run can report, by number."""

from __future__ import annotations

import enum

ERROR_WIDTH = 5
"""Bits of an error code."""
NO_JOB = 0xFFFF_FFFF
"""In place of a job's number: the error belongs to none, or its job is not known."""
NO_PHASE = 0xFFFF_FFFF
"""In place of a phase's number: the phase was not started by a list."""


class ErrorCode(enum.IntEnum):
    """Values of `ERROR.code`; the checks of one record are made in the order of these numbers."""

    NONE = 0
    BUS_READ = 1
    BUS_WRITE = 2
    START_BUSY = 3
    START_ADDRESS = 4
    START_JOBS = 5
    START_RANGE = 6
    ABORTED = 7
    JOB_SEGMENTS = 8
    JOB_FORMAT = 9
    JOB_SHIFT = 10
    JOB_SHAPE = 11
    JOB_WALK = 12
    JOB_ADDRESS = 13
    SEGMENT_KIND = 14
    SEGMENT_ADDRESS = 15
    SEGMENT_TAPS = 16
    SEGMENT_LOAD = 17
    SEGMENT_OFFSET = 18
    SEGMENT_STREAM = 19
    LOAD_DIRECTORY = 20
    LOAD_ENTRIES = 21
    LOAD_FORMAT = 22
    LOAD_LENGTH = 23
    LOAD_FIBER = 24
    LOAD_TAPS = 25
    STREAM_TAP = 26
    ACCUMULATOR = 27
    OUTPUT_RANGE = 28
    START_PHASES = 29


ERROR_MEANINGS = {
    ErrorCode.NONE: "no error",
    ErrorCode.BUS_READ: "a read was answered with SLVERR or DECERR; see BUS_ERROR",
    ErrorCode.BUS_WRITE: "a write was answered with SLVERR or DECERR; see BUS_ERROR",
    ErrorCode.START_BUSY: "a start was ignored because the accelerator was busy",
    ErrorCode.START_ADDRESS: "the address of the queue, or of the list of phases, is no multiple "
    "of 64 or beyond the memory port's address width; a start was ignored, or a list ended",
    ErrorCode.START_JOBS: "the phase has no jobs; a start was ignored, or a list ended",
    ErrorCode.START_RANGE: "an end of the output range is no multiple of 64 or beyond the memory "
    "port's address width, or the range ends before it begins; a start was ignored, or a list "
    "ended",
    ErrorCode.ABORTED: "the host aborted the phase",
    ErrorCode.JOB_SEGMENTS: "job: segment_count is 0",
    ErrorCode.JOB_FORMAT: "job: number_format is none of the core, window is above 1023, or "
    "out_format is none of the number format: above 3, or 3 with integers",
    ErrorCode.JOB_SHIFT: "job: shift is above 47, or not 0 although results are raw or "
    "floating-point",
    ErrorCode.JOB_SHAPE: "job: pitch or plane_rows is 0",
    ErrorCode.JOB_WALK: "job: walk_count is 0 or above the accumulators of a PE",
    ErrorCode.JOB_ADDRESS: "job: segment_addr or out_addr is no multiple of 64 or beyond the "
    "memory port's address width",
    ErrorCode.SEGMENT_KIND: "segment: kind is above 1",
    ErrorCode.SEGMENT_ADDRESS: "segment: load_addr or stream_addr is no multiple of 64 or beyond "
    "the memory port's address width",
    ErrorCode.SEGMENT_TAPS: "MAC segment: tap_count is 0 or above the taps of a bank",
    ErrorCode.SEGMENT_LOAD: "MAC segment: load_chunks is 0 or above the longest possible block; "
    "ADD segment: load_chunks is not 0",
    ErrorCode.SEGMENT_OFFSET: "MAC segment: offset_bits is above 16",
    ErrorCode.SEGMENT_STREAM: "ADD segment: stream_count is above PEs x walk_count",
    ErrorCode.LOAD_DIRECTORY: "load block: directory_count is above the directory of a bank",
    ErrorCode.LOAD_ENTRIES: "load block: a_count is above the stationary entries of a bank",
    ErrorCode.LOAD_FORMAT: "load block: directory_format is above 2",
    ErrorCode.LOAD_LENGTH: "load block: load_chunks is not what taps and headers add up to",
    ErrorCode.LOAD_FIBER: "load block: a fiber ends beyond a_count",
    ErrorCode.LOAD_TAPS: "load block: its last tap is not marked as the last of a list",
    ErrorCode.STREAM_TAP: "stream: the first tap of a rebase is not below tap_count",
    ErrorCode.ACCUMULATOR: "a product's accumulator is not in [0, walk_count)",
    ErrorCode.OUTPUT_RANGE: "results of a job lie outside the phase's output range",
    ErrorCode.START_PHASES: "the start of a list was ignored because PHASE_COUNT is 0",
}
