"""Programs, random or lowered, whose streams wait to be shared."""

from __future__ import annotations

from dataclasses import replace

from gscn.records import QUEUE_ENTRY, SEGMENT_DESCRIPTOR, queue_entries, segment_addresses


def with_stream_wait(program, stream_wait, **others):
    """Return a program with this `stream_wait`, and such other fields, in all segments."""
    return with_fields(program, stream_wait=stream_wait, **others)


def with_fields(program, **fields):
    """Return a program with these fields in the descriptors of all segments."""
    image = program.image.copy()
    size = SEGMENT_DESCRIPTOR.dtype.itemsize
    for phase in program.phases:
        entries = queue_entries(image, phase.queue_addr, phase.job_count)
        for number, job in enumerate(entries["job"]):
            for addr in segment_addresses(phase.queue_addr + QUEUE_ENTRY.itemsize * number, job):
                segment = SEGMENT_DESCRIPTOR.unpack(image[addr : addr + size])
                for name, value in fields.items():
                    segment[name] = value
    return replace(program, image=image)
