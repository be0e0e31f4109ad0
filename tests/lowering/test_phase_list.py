"""The image of a launch holds its phases as a list, from which it can be started."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.config import PRESETS
from gscn.conv import ConvShape, Pass
from gscn.emulator.validation import read_phase, validate_list
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering import LoweringOptions, lower
from gscn.lowering.drafts import TileDraft, Walk
from gscn.lowering.image import build_image
from gscn.program import OutputFormat
from gscn.records import PHASE_DESCRIPTOR

SHAPE = ConvShape(n=2, c=4, h=7, w=6, k=4, r=3, s=3, padding=(1, 1))


def program(config, which=Pass.WEIGHT_GRAD, parts=2):
    operands = random_operands(SHAPE, which, 0.4, 0.4, config.format, 5)
    options = LoweringOptions(contraction_parts=parts)
    return lower(config, SHAPE, which, *operands, OutputFormat(width=32), options)


@pytest.mark.parametrize("name", ["tiny", "small"])
@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("parts", [1, 2])
def test_the_list_says_what_the_phases_are(name, which, parts):
    made = program(PRESETS[name], which, parts)
    assert len(made.phases) == parts
    for number, phase in enumerate(made.phases):
        listed = read_phase(made.image, made.phases_addr, number)
        assert dataclasses.asdict(listed) == dataclasses.asdict(phase)
    assert validate_list(made.config, made.initial_memory(), made.phases_addr, parts) is None


def tile(jobs, *, in_turn=False):
    """A tile of one result per PE, without products, made by so many jobs."""
    pes = PRESETS["tiny"].pes_per_cluster
    return TileDraft(
        plane_index=np.arange(pes).reshape(pes, 1),
        row_index=np.zeros((pes, 1), dtype=np.int64),
        col_index=np.zeros((pes, 1), dtype=np.int64),
        walk=Walk(pitch=1, guard_cols=0, rows=1, planes=1),
        parts=[[] for _ in range(jobs)],
        in_turn=in_turn,
    )


@pytest.mark.parametrize("turns", [(False, False), (True, False), (False, True), (True, True)])
def test_one_tile_asks_for_turns_in_the_first_phase_only(turns):
    config = PRESETS["tiny"]
    tiles = [tile(2, in_turn=turns[0]), tile(1, in_turn=turns[1])]
    image = build_image(tiles, OutputFormat(width=32), config)
    first, second = image.phases
    assert (first.in_turn, second.in_turn) == (any(turns), False)
    assert [phase.job_word >> 31 for phase in image.phases] == [any(turns), False]
    for number, phase in enumerate(image.phases):
        assert read_phase(image.data, image.phases_addr, number) == phase
    # nothing else depends on it
    plain = build_image([tile(2), tile(1)], OutputFormat(width=32), config)
    differ = np.flatnonzero(image.data != plain.data).tolist()
    assert differ == ([image.phases_addr + 24 + 3] if any(turns) else [])


def test_the_list_is_the_end_of_the_image_and_ends_with_a_phase_of_zeros():
    made = program(PRESETS["tiny"])
    end = made.phases_addr + 2 * PHASE_DESCRIPTOR.width // 8
    rest = made.image[end:]
    assert rest.size >= PHASE_DESCRIPTOR.width // 8
    assert not rest.any()
    assert made.image.size == made.phases[0].out_addr


@pytest.mark.parametrize("burst_beats", [1, 4, 16])
def test_the_list_moves_results_by_whole_bursts(burst_beats):
    config = dataclasses.replace(
        PRESETS["small"], burst_beats=burst_beats, read_fifo_beats=2 * burst_beats
    )
    made = program(config)
    burst = burst_beats * config.mem_bytes
    assert (made.phases[0].out_addr - made.phases_addr) % burst == 0
    assert made.phases[0].out_addr - made.phases_addr >= 3 * PHASE_DESCRIPTOR.width // 8
    # the shortest that does
    assert made.phases[0].out_addr - made.phases_addr - burst < 3 * PHASE_DESCRIPTOR.width // 8


def test_results_do_not_overwrite_the_list():
    made = program(PRESETS["tiny"])
    first = min(first for first, _ in made.output_ranges)
    assert first >= made.image.size
    assert np.all(np.diff([p.out_addr for p in made.phases]) == 0)
