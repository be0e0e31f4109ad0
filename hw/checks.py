"""Checks of descriptors: what a field must not be, and the error that says so."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from gscn.config import ALIGNMENT_BITS, AcceleratorConfig
from gscn.error_codes import ERROR_WIDTH, ErrorCode
from gscn.formats import NUMBER_FORMATS
from gscn.records import CODE_WIDTH, KIND_ADD, MOST_SHIFT, OUT_BF16, OUT_RAW
from gscn.window import MOST_TOP

Checks = Iterable[tuple[ErrorCode, Value]]


def first_error(m: Module, checks: Checks) -> Signal:
    """Return the code of the first condition that holds, or 0; combinational.

    Parameters
    ----------
    m
        Module to which the logic is added.
    checks
        Code and condition of each check, in the order in which they are made.
    """
    code = Signal(ERROR_WIDTH)
    for wrong, condition in reversed(list(checks)):
        with m.If(condition):
            m.d.comb += code.eq(wrong)
    return code


def is_bad_address(addr: Value, config: AcceleratorConfig) -> Value:
    """Return whether an address (64 bits) is no multiple of 64 or beyond the memory port's."""
    return addr[:ALIGNMENT_BITS].any() | addr[config.addr_width :].any()


def job_checks(job: data.View, config: AcceleratorConfig) -> Checks:
    """Return the checks of a job descriptor.

    Parameters
    ----------
    job
        View of a `hw.layouts.JOB_DESCRIPTOR`.
    config
        Sizes.
    """
    floating = job.number_format != 0
    unshifted = job.out_format == OUT_RAW
    bad_format = (job.window > MOST_TOP) | (job.out_format > OUT_RAW) | floating
    if config.floats:
        unshifted |= floating
        known = [job.number_format == NUMBER_FORMATS.index(fmt) for fmt in config.floats]
        bad_format = (job.window > MOST_TOP) | Mux(
            floating, ~Cat(known).any() | (job.out_format > OUT_BF16), job.out_format > OUT_RAW
        )
    return (
        (ErrorCode.JOB_SEGMENTS, job.segment_count == 0),
        (ErrorCode.JOB_FORMAT, bad_format),
        (ErrorCode.JOB_SHIFT, (job.shift > MOST_SHIFT) | (unshifted & (job.shift != 0))),
        (ErrorCode.JOB_SHAPE, (job.pitch == 0) | (job.plane_rows == 0)),
        (ErrorCode.JOB_WALK, (job.walk_count == 0) | (job.walk_count > config.acc_depth)),
        (
            ErrorCode.JOB_ADDRESS,
            is_bad_address(job.segment_addr, config) | is_bad_address(job.out_addr, config),
        ),
    )


def segment_checks(segment: data.View, walk_count: Value, config: AcceleratorConfig) -> Checks:
    """Return the checks of a segment descriptor.

    Parameters
    ----------
    segment
        View of a `hw.layouts.SEGMENT_DESCRIPTOR`.
    walk_count
        Of its job.
    config
        Sizes.
    """
    is_add = segment.kind == KIND_ADD
    no_load = segment.load_chunks == 0
    pes = config.pes_per_cluster
    return (
        (ErrorCode.SEGMENT_KIND, segment.kind > KIND_ADD),
        (
            ErrorCode.SEGMENT_ADDRESS,
            is_bad_address(segment.load_addr, config) | is_bad_address(segment.stream_addr, config),
        ),
        (
            ErrorCode.SEGMENT_TAPS,
            ~is_add & ((segment.tap_count == 0) | (segment.tap_count > config.taps_depth)),
        ),
        (
            ErrorCode.SEGMENT_LOAD,
            (is_add ^ no_load) | (segment.load_chunks > config.most_load_chunks),
        ),
        (ErrorCode.SEGMENT_OFFSET, ~is_add & (segment.offset_bits > CODE_WIDTH)),
        (
            ErrorCode.SEGMENT_STREAM,
            is_add & (segment.stream_count > (walk_count << (pes.bit_length() - 1))),
        ),
    )
