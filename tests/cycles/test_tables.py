"""Tables for the cycle model, against the records that they are decoded from."""

from __future__ import annotations

import numpy as np

from gscn.config import PRESETS
from gscn.cycles.tables import decode
from gscn.records import queue_entries, segment_addresses
from tests.programs import random_program


def test_every_job_and_segment_has_its_place():
    config = PRESETS["tiny"]
    program = random_program(config, 3, phases=2)
    tables = decode(program)
    assert tables.phases["jobs"].tolist() == [phase.job_count for phase in program.phases]
    jobs, segments = [], []
    for phase in program.phases:
        entries = queue_entries(program.image, phase.queue_addr, phase.job_count)
        for number, job in enumerate(entries["job"]):
            jobs.append(phase.queue_addr + 128 * number)
            segments += segment_addresses(jobs[-1], job)
    assert (tables.jobs["entry_beat"] * config.mem_bytes).tolist() == jobs
    assert (tables.segments["descriptor_beat"] * config.mem_bytes).tolist() == segments
    ends = np.cumsum(tables.jobs["segments"])
    assert tables.jobs["first_segment"].tolist() == [0, *ends[:-1].tolist()]
    assert tables.tiles.shape == (len(segments), config.pes_per_cluster)
    used = tables.tiles["first_entry"] + tables.tiles["entries"]
    assert used.max() <= len(tables.fiber_lengths) - 1
