"""Random launches that obey the contract of execution, with their results worked out in Python.

Nothing here comes from the lowering: jobs have arbitrary keys, overlapping fibers, tap lists, guard
cells and partial sums, so that the hardware is tested beyond what convolutions need.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from gscn.config import ALIGNMENT_BYTES, AcceleratorConfig
from gscn.program import Phase
from gscn.records import OUT_WIDTHS, PHASE_DESCRIPTOR
from tests.random_jobs import Builder


@dataclass(frozen=True, kw_only=True)
class RandomProgram:
    config: AcceleratorConfig
    image: np.ndarray
    memory_bytes: int
    phases: list[Phase]
    phases_addr: int
    """Address of the phases' descriptors, which a descriptor of zeros follows."""
    output_ranges: list[tuple[int, int]]
    expected: list[list[int]]
    """Results of each output range."""
    widths: list[int]
    """Bits of a result in each range."""
    products: int
    saturated: bool
    overflowed: bool
    nonfinite: bool

    def initial_memory(self):
        return np.pad(self.image, (0, self.memory_bytes - self.image.size))

    def result(self, memory):
        """Return the results of all jobs, one after the other."""
        return np.concatenate(
            [
                memory[first:end].view(f"<i{width // 8}").astype(np.int64)
                for (first, end), width in zip(self.output_ranges, self.widths, strict=True)
            ]
        )

    def oracle(self):
        return np.array([value for job in self.expected for value in job], dtype=np.int64)


def random_program(
    config: AcceleratorConfig,
    seed: int,
    *,
    phases: int = 2,
    jobs: int = 8,
    in_turn: tuple[bool, ...] = (False,),
):
    """Return a random launch; phases are independent of each other, `in_turn` repeats over them."""
    builder = Builder(config, np.random.default_rng(seed))
    queues = []
    for _ in range(phases):
        made = [builder.job() for _ in range(1 + builder.below(jobs))]
        entries = np.concatenate([entry for entry, _ in made])
        queues.append((builder.memory.place(entries), entries, [r for _, r in made]))
    phases_addr = builder.memory.place(np.zeros(phases + 1, dtype=PHASE_DESCRIPTOR.dtype))
    # Outputs come after everything else; a gap after each shows writes beyond its end.
    end = len(builder.memory.bytes)
    output_ranges, expected, widths, phases_made = [], [], [], []
    for (addr, entries, results), turns in zip(queues, itertools.cycle(in_turn), strict=False):
        begin = end + -end % ALIGNMENT_BYTES
        for entry, values in zip(entries, results, strict=True):
            first = end + -end % ALIGNMENT_BYTES
            width = OUT_WIDTHS[int(entry["job"]["out_format"])]
            entry["job"]["out_addr"] = first
            end = first + len(values) * width // 8
            output_ranges.append((first, end))
            expected.append(values)
            widths.append(width)
            end += ALIGNMENT_BYTES * builder.below(2)
        last = output_ranges[-1][1]
        phases_made.append(
            Phase(
                queue_addr=addr,
                job_count=len(entries),
                out_addr=begin,
                out_end=last + -last % ALIGNMENT_BYTES,
                in_turn=turns,
            )
        )
    image = np.frombuffer(bytes(builder.memory.bytes), dtype=np.uint8).copy()
    for address, entries, _ in queues:
        image[address : address + entries.nbytes] = entries.view(np.uint8)
    for number, phase in enumerate(phases_made):
        descriptor = PHASE_DESCRIPTOR.pack(
            1,
            queue_addr=phase.queue_addr,
            out_addr=phase.out_addr,
            out_end=phase.out_end,
            job_count=phase.job_count | phase.in_turn << 31,
        )
        address = phases_addr + number * descriptor.nbytes
        image[address : address + descriptor.nbytes] = descriptor.view(np.uint8)
    return RandomProgram(
        config=config,
        image=image,
        memory_bytes=end + ALIGNMENT_BYTES,
        phases=phases_made,
        phases_addr=phases_addr,
        output_ranges=output_ranges,
        expected=expected,
        widths=widths,
        products=builder.products,
        saturated=builder.saturated,
        overflowed=builder.overflowed,
        nonfinite=builder.nonfinite,
    )
