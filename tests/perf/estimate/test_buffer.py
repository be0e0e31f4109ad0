"""A buffer that keeps what was used last, against one written down plainly, burst by burst."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cycles.passes import simulate_passes
from gscn.errors import InputError
from gscn.lowering.pass_image import lower_pass
from gscn.outputs import OutputFormat
from gscn.passes import DESCRIPTOR_BYTES
from gscn.perf.estimate import buffer
from gscn.perf.estimate.buffer import CAPACITIES, LINE_BYTES, dram_reads, owners_of, replay

TINY = ARRAYS["tiny"]
SHAPE = ConvShape(n=3, c=20, h=12, w=12, k=24, r=3, s=3, padding=(1, 1))
STRIDED = ConvShape(n=2, c=8, h=12, w=11, k=16, r=3, s=3, stride=(2, 2), padding=(1, 1))


def plainly(config, bursts, owners, capacity):
    """Return bytes by owner: lines in the order of their use, the oldest dropped."""
    held, missed = OrderedDict(), [0, 0, 0]
    for (beat, beats, _), owner in zip(bursts.tolist(), owners.tolist(), strict=True):
        begin, size = beat * config.mem_bytes, beats * config.mem_bytes
        if beat < 0 or capacity < LINE_BYTES:
            missed[owner] += size
            continue
        for line in range(begin // LINE_BYTES, -(-(begin + size) // LINE_BYTES)):
            if line not in held:
                missed[owner] += LINE_BYTES
                if len(held) == capacity // LINE_BYTES:
                    held.popitem(last=False)
            held[line] = None
            held.move_to_end(line)
    return missed


def lowered(shape, which, density=0.3, config=TINY):
    rng = np.random.default_rng(3)
    first, second = (
        (rng.random(size) < density).astype(np.int64) for size in shape.operand_shapes(which)
    )
    image = lower_pass(config, shape, which, first, second, OutputFormat(width=16))
    result = simulate_passes(
        config, image.image, image.descriptors_addr, image.descriptor_count, image.memory_bytes,
        bursts=True,
    )  # fmt: skip
    return image, result


@pytest.fixture(
    scope="module", params=[(SHAPE, which) for which in Pass] + [(STRIDED, "weight-grad")]
)
def run(request):
    shape, which = request.param
    return lowered(shape, Pass(which))


@pytest.mark.parametrize("capacity", [0, 64, 640, 4096, 1 << 16])
def test_random_bursts_read_what_a_plain_buffer_reads(capacity):
    rng = np.random.default_rng(capacity)
    for name, most in (("tiny", 2), ("large", 4)):
        count = 3000
        bursts = np.stack(
            [rng.integers(-1, 400, count), rng.integers(1, most + 1, count), np.ones(count, int)],
            axis=1,
        )
        owners = np.where(bursts[:, 0] < 0, buffer.OTHER, rng.integers(0, 3, count))
        found = replay(ARRAYS[name], bursts, owners, capacity)
        wanted = plainly(ARRAYS[name], bursts, owners, capacity)
        assert [found.first, found.second, found.other] == wanted


def test_a_pass_reads_what_a_plain_buffer_reads(run):
    image, result = run
    owners = owners_of(image, result.bursts)
    reads = dram_reads(image, result.bursts, (0, 1 << 10, 1 << 13))
    for capacity, found in reads.items():
        wanted = plainly(image.config, result.bursts, owners, capacity)
        assert [found.first, found.second, found.other] == wanted


def test_without_a_buffer_dram_reads_what_the_ports_read(run):
    image, result = run
    none = dram_reads(image, result.bursts)[0]
    assert none.total == result.read_beats * image.config.mem_bytes
    assert none.other == image.descriptor_count * DESCRIPTOR_BYTES


def test_a_larger_buffer_never_reads_more_and_a_large_one_reads_everything_once(run):
    image, result = run
    reads = list(dram_reads(image, result.bursts).values())
    assert [one.total for one in reads] == sorted((one.total for one in reads), reverse=True)
    # every strip that meets anything is read, and of tables what says where pieces begin and end
    data = sum(one.end - one.begin for one in buffer.regions(image) if one.strips)
    assert data <= reads[-1].first + reads[-1].second + LINE_BYTES * len(buffer.regions(image))
    assert reads[-1].total <= image.operand_bytes + reads[-1].other


@pytest.mark.parametrize("which", Pass)
def test_regions_are_the_operands_in_their_order(which):
    image, _ = lowered(SHAPE, which)
    found = buffer.regions(image)
    assert [one.begin for one in found] == sorted(one.begin for one in found)
    assert sum(-(-(one.end - one.begin) // 64) * 64 for one in found) == image.operand_bytes
    holder = 1 if which is Pass.WEIGHT_GRAD and image.plan.parts[0].holds_input else 0
    assert all(one.stationary == (one.operand == holder) for one in found)
    sizes = [0, 0]
    for one in found:
        sizes[one.operand] += (one.end - one.begin) * one.strips
    expected = [np.prod(size) for size in SHAPE.operand_shapes(which)]
    # both have the same density: the larger operand has the more bytes
    assert np.argsort(sizes).tolist() == np.argsort(expected).tolist()


def test_a_negative_capacity_is_refused():
    with pytest.raises(InputError, match="buffer_bytes must be at least 0, not -1"):
        replay(TINY, np.zeros((0, 3), np.int64), np.zeros(0, np.int64), -1)


def test_the_capacities_of_designs_are_measured():
    assert set(buffer.BUFFERS) <= set(CAPACITIES)
