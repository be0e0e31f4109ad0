"""The modes of an estimate against each other, and against a recorded step."""

from __future__ import annotations

import dataclasses
import functools
import json

import pytest

from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.dram import Dram
from gscn.errors import InputError
from gscn.perf.estimate.buffer import BUFFERS, CAPACITIES, Reads
from gscn.perf.estimate.closed_form import closed_form_costs
from gscn.perf.estimate.memory import operand_bytes
from gscn.perf.estimate.modes import statistical
from gscn.perf.estimate.pass_cost import Measurement
from gscn.perf.estimate.recorded_step import measure_recorded
from gscn.perf.estimate.sampling import Sampling, measure
from gscn.perf.estimate.training_step import (
    Mode,
    assumptions,
    estimate,
    recorded_items,
    to_json,
)
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Method, Sparsification
from gscn.perf.workload.work import Work

LARGE = array("large")


BOTH = Sparsification(method=Method.SWAT_RESPROP, sparsity=0.9)


NET = network("resnet18", image_size=64, batch=4)


def as_the_closed_form(config, samples, *, lost=1.0):
    """Measure samples by the closed form, with so many times its lost cycles."""
    results = []
    for sample in samples:
        work = Work(
            shape=sample.shape,
            which=sample.which,
            first_density=sample.first_density,
            second_density=sample.second_density,
        )
        products = round(work.useful_products) * 64
        (cost,) = closed_form_costs(config, [work], products=[products], dram=sample.dram)
        useful = products / config.multipliers
        results.append(
            Measurement(
                useful_products=products,
                cycles=useful + lost * (cost.cycles - useful),
                multipliers=config.multipliers,
                read_bytes=sum(cost.read_bytes),
                write_bytes=cost.write_bytes,
            )
        )
    return results


def run(mode, *, rivals=(), clock_hz=1e9, **sampling):
    return estimate(
        NET,
        LARGE,
        BOTH,
        mode=mode,
        rivals=rivals,
        clock_hz=clock_hz,
        sampling=Sampling(**sampling),
    )


def test_samples_that_behave_as_the_closed_form_says_change_nothing():
    analytic, sampled = run(Mode.ANALYTIC), run(Mode.STATISTICAL, measure=as_the_closed_form)
    assert sampled.cycles() == pytest.approx(analytic.cycles())
    for one, other in zip(analytic.passes, sampled.passes, strict=True):
        assert other.cycles == pytest.approx(one.cycles)
        assert other.works[0].read_bytes == pytest.approx(one.works[0].read_bytes)


def test_samples_that_lose_twice_as_much_double_what_layers_lose():
    analytic = run(Mode.ANALYTIC)
    sampled = run(Mode.STATISTICAL, measure=functools.partial(as_the_closed_form, lost=2.0))
    ideal = sum(w.useful_products for p in analytic.passes for w in p.works) / LARGE.multipliers
    assert sampled.cycles() - ideal == pytest.approx(2 * (analytic.cycles() - ideal))


def test_the_longest_convolutions_are_sampled_and_every_pass_is():
    asked = []

    def note(config, samples):
        asked.extend(samples)
        return as_the_closed_form(config, samples)

    result = run(Mode.STATISTICAL, measure=note, most=5)
    assert len(asked) == 5
    assert {sample.which for sample in asked} == set(Pass)
    works = [work for one in result.passes for work in one.works]
    longest = max(works, key=lambda work: work.cycles)
    assert longest.sample in asked
    assert any(work.sample is None for work in works)
    with pytest.raises(InputError, match="samples must be at least 3, one a pass, not 2"):
        run(Mode.STATISTICAL, measure=note, most=2)


def test_no_mode_beats_the_multipliers():
    for mode, options in ((Mode.ANALYTIC, {}), (Mode.STATISTICAL, {"measure": generous})):
        for one in run(mode, **options).passes:
            assert all(work.utilization <= 1 for work in one.works)


def generous(config, samples):
    """Find full utilisation everywhere."""
    return [
        Measurement(
            useful_products=640_000,
            cycles=10_000,
            multipliers=config.multipliers,
            read_bytes=1,
            write_bytes=1,
        )
        for _ in samples
    ]


@pytest.mark.parametrize("mode", [Mode.ANALYTIC, Mode.STATISTICAL])
def test_the_json_has_bytes_bounds_and_seconds_that_agree(mode):
    options = {} if mode is Mode.ANALYTIC else {"measure": as_the_closed_form}
    result = run(mode, clock_hz=5e8, **options)
    data = json.loads(json.dumps(to_json(result), allow_nan=False))
    assert data["mode"] == mode
    assert data["training_seconds"] == pytest.approx(data["training_cycles"] / 5e8)
    passes = [one for layer in data["layers"] for one in layer["passes"]]
    assert data["read_bytes"] == pytest.approx(sum(one["read_bytes"] for one in passes))
    for one in passes:
        assert one["bound"] == max(one["busy_cycles"], key=one["busy_cycles"].get)
        assert one["busy_cycles"]["write port"] == pytest.approx(one["write_bytes"] / 64)
    assert any("were found to have" in line for line in assumptions(result))


@dataclasses.dataclass(frozen=True)
class Cost:
    cycles: float


def test_rivals_are_scaled_by_dense_products_of_samples_with_whole_maps():
    def per_product(config, samples, names):
        assert all((s.shape.h, s.shape.w) in maps for s in samples)
        return [{name: Cost(s.shape.dense_macs / 10) for name in names} for s in samples]

    maps = {(layer.shape.h, layer.shape.w) for layer in NET.layers}
    result = run(Mode.ANALYTIC, rivals=("one", "two"), measure_rivals=per_product)
    dense = sum(work.work.shape.dense_macs for one in result.passes for work in one.works)
    assert result.rival_cycles() == {
        "one": pytest.approx(dense / 10),
        "two": pytest.approx(dense / 10),
    }
    data = to_json(result)
    assert data["rival_cycles"]["one"]["training"] == pytest.approx(dense / 10)


def test_a_mode_that_needs_a_trace_is_refused_without():
    with pytest.raises(InputError, match="mode must be one that needs no trace, not trace"):
        run(Mode.TRACE)


@pytest.mark.slow
def test_drawn_operands_take_about_the_cycles_of_recorded_ones(tiny_trace):
    """The network is far smaller than those that the model is for, and nothing was fitted on it."""
    config = array("small")
    whole = measure_recorded(tiny_trace, config)
    net, items = recorded_items(tiny_trace)
    found = estimate(
        net,
        config,
        BOTH,
        items=items,
        sampling=Sampling(measure=functools.partial(measure, processes=1)),
    )
    recorded = sum(one.measurement.cycles for one in whole)
    assert found.cycles() == pytest.approx(recorded, rel=0.15)


def test_an_operand_is_read_as_often_as_in_the_sample_by_what_the_buffer_holds():
    """By hand: of the first operand the buffer holds sample and layer, of the second neither."""
    shape = ConvShape(n=8, c=64, h=32, w=32, k=64, r=1, s=1)
    work = Work(shape=shape, which=Pass.FORWARD, first_density=1.0, second_density=1.0)
    whole = operand_bytes(shape, Pass.FORWARD, 1.0, 1.0)

    def found(images, reads):
        cut = dataclasses.replace(shape, n=images)
        measured = Measurement(
            useful_products=64 * 64 * 1024 * images,
            cycles=10**6,
            multipliers=64,
            read_bytes=10**7,
            write_bytes=10**6,
            dram_reads={size: reads(size) for size in CAPACITIES},
        )
        (one,) = statistical(
            LARGE, [work], {work: 1}, prunes=False,
            sampling=Sampling(
                products=64 * 64 * 1024 * images, measure=lambda *_: [measured]
            ),
        ).values()  # fmt: skip
        assert one.sample.shape == cut
        return one.dram_read_bytes

    once = operand_bytes(dataclasses.replace(shape, n=4), Pass.FORWARD, 1.0, 1.0)
    # 4 images are 557056 bytes, 8 images 1114112: 1 MiB holds the sample's, 4 MiB the layer's too
    assert once[1] < 1 << 20 < whole[1]
    reads = found(
        4, lambda size: Reads(first=2 * once[0], second=once[1] * (1 + 2**20 / (size + 2**20)))
    )
    assert reads[4 << 20] == pytest.approx(2 * whole[0] + whole[1] * (1 + 2**20 / (5 << 20)))
    # as behind the largest capacity that does not hold the sample's
    assert reads[1 << 20] == pytest.approx(2 * whole[0] + whole[1] * (1 + 2**20 / (3 << 19)))
    assert reads[256 << 10] == pytest.approx(2 * whole[0] + whole[1] * (1 + 2**20 / (5 << 18)))


def test_behind_dram_operands_are_read_as_often_as_the_driver_expects():
    """Whatever the sample's memory delivered, which has no such limit."""
    shape = ConvShape(n=8, c=64, h=32, w=32, k=64, r=3, s=3, padding=(1, 1))
    work = Work(shape=shape, which=Pass.WEIGHT_GRAD, first_density=1.0, second_density=0.1)
    dram = Dram(bytes_per_cycle=2.0, buffer_bytes=256 << 10)
    (cost,) = closed_form_costs(LARGE, [work], dram=dram)
    asked = []

    def note(config, samples):
        asked.extend(samples)
        return as_the_closed_form(config, samples)

    (one,) = statistical(
        LARGE, [work], {work: 1}, prunes=False,
        sampling=Sampling(products=10**8, measure=note), dram=dram,
    ).values()  # fmt: skip
    assert asked[0].dram == dram
    assert one.dram == dram
    for size in BUFFERS[1:]:
        assert one.dram_read_bytes[size] == pytest.approx(sum(cost.dram_read_bytes(size)))
    assert one.cycles == pytest.approx(max(one.array_cycles, one.dram_cycles))


@pytest.mark.slow
@pytest.mark.parametrize("which", Pass)
def test_few_images_of_a_layer_are_read_from_dram_as_often_as_all(which):
    shape = ConvShape(n=16, c=128, h=14, w=14, k=128, r=3, s=3, padding=(1, 1))
    first, second = (1.0, 0.1) if which is Pass.WEIGHT_GRAD else (0.1, 1.0)
    work = Work(shape=shape, which=which, first_density=first, second_density=second)
    part, whole = (
        statistical(
            LARGE,
            [work],
            {work: 1},
            prunes=True,
            sampling=Sampling(products=products, measure=functools.partial(measure, processes=1)),
        )[work]
        for products in (12_000_000, 10**9)
    )
    assert part.sample.shape.n < whole.sample.shape.n == 16
    assert part.cycles == pytest.approx(whole.cycles, rel=0.05)
    for size in (1 << 20, 4 << 20):
        assert part.dram_read_bytes[size] == pytest.approx(whole.dram_read_bytes[size], rel=0.2)
