"""Clusters that stream the same words take them from one burst, if their streams wait."""

import itertools

import numpy as np
import pytest

from gscn.conv import ConvShape, Pass
from gscn.cosim import Conditions, run
from gscn.cosim.builds.simulator import build
from gscn.formats import INT32
from gscn.golden.oracle.integers import conv_integers
from gscn.golden.oracle.quantize import requantize
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering import LoweringOptions, lower
from gscn.program import OutputFormat
from gscn.records import queue_entries, segment_descriptors
from tests.cosim.test_accelerator import CONFIGS, check_cycle_model
from tests.stream_waits import with_stream_wait

pytestmark = pytest.mark.cosim

CONFIG = CONFIGS["wide_port"]
SHAPE = ConvShape(n=1, c=8, h=10, w=10, k=8, r=3, s=3, padding=(1, 1))
POINTWISE = ConvShape(n=2, c=40, h=6, w=5, k=24, r=1, s=1)
WAITS = (0, 1, 4, CONFIG.read_fifo_beats - 1, CONFIG.read_fifo_beats, 0xFFFF)


@pytest.fixture(scope="module")
def simulator():
    return build(CONFIG)


@pytest.mark.parametrize("latency", [2, 20, 100])
def test_waiting_streams_are_read_less_often(simulator, latency):
    # nothing is zero, so that all tiles of the same pixels stream the same words
    operands = random_operands(SHAPE, Pass.FORWARD, 1.0, 1.0, CONFIG.format, 3)
    program = lower(CONFIG, SHAPE, Pass.FORWARD, *operands, OutputFormat(width=32))
    streams = [
        int(segment["stream_addr"])
        for phase in program.phases
        for entry in queue_entries(program.image, phase.queue_addr, phase.job_count)
        for segment in segment_descriptors(program.image, entry)
    ]
    assert len(set(streams)) <= len(streams) // CONFIG.clusters
    programs = {wait: with_stream_wait(program, wait) for wait in WAITS}
    results = run(CONFIG, list(programs.values()), Conditions(latency=latency), simulator=simulator)
    exact = conv_integers(SHAPE, Pass.FORWARD, *operands)
    expected, _ = requantize(exact, 0, INT32)
    beats, cycles = {}, {}
    for (wait, waiting), result in zip(programs.items(), results, strict=True):
        assert np.array_equal(waiting.result(result.memory), expected), wait
        check_cycle_model(waiting, result, {"latency": latency}, f"stream_wait {wait}")
        beats[wait], cycles[wait] = result.read_beats, result.cycles
    assert beats[4] < beats[0]
    assert beats[1] < beats[0]
    # a wait for as many beats as the buffer has is none
    assert {(beats[wait], cycles[wait]) for wait in WAITS[-2:]} == {(beats[0], cycles[0])}


@pytest.mark.parametrize("latency", [2, 20, 100])
def test_streams_whose_sharers_are_there_are_read_no_more_often_and_sooner(simulator, latency):
    operands = random_operands(SHAPE, Pass.FORWARD, 1.0, 1.0, CONFIG.format, 3)
    program = lower(CONFIG, SHAPE, Pass.FORWARD, *operands, OutputFormat(width=32))
    kinds = list(itertools.product((1, 4), (0, CONFIG.clusters)))
    programs = [
        with_stream_wait(program, wait, load_sharers=sharers, stream_sharers=sharers)
        for wait, sharers in kinds
    ]
    results = run(CONFIG, programs, Conditions(latency=latency), simulator=simulator)
    exact = conv_integers(SHAPE, Pass.FORWARD, *operands)
    expected, _ = requantize(exact, 0, INT32)
    for kind, waiting, result in zip(kinds, programs, results, strict=True):
        assert np.array_equal(waiting.result(result.memory), expected), kind
        check_cycle_model(waiting, result, {"latency": latency}, f"wait and sharers {kind}")
    beats = {kind: result.read_beats for kind, result in zip(kinds, results, strict=True)}
    taken = {kind: result.cycles for kind, result in zip(kinds, results, strict=True)}
    for wait in (1, 4):
        assert beats[wait, CONFIG.clusters] <= beats[wait, 0]
        assert taken[wait, CONFIG.clusters] <= taken[wait, 0]
    # a stream that waits until its buffer is empty waits for memory, unless it is read before
    assert latency < 20 or taken[1, CONFIG.clusters] < taken[1, 0]


@pytest.mark.parametrize("latency", [2, 100])
def test_weight_gradients_in_waves_are_exact_and_as_fast_as_the_model_says(simulator, latency):
    operands = random_operands(POINTWISE, Pass.WEIGHT_GRAD, 0.12, 0.1, CONFIG.format, 4)
    programs = [
        lower(
            CONFIG,
            POINTWISE,
            Pass.WEIGHT_GRAD,
            *operands,
            OutputFormat(width=32),
            LoweringOptions(waves=True, stationary=stationary),
        )
        for stationary in ("first", "second")
    ]
    results = run(CONFIG, programs, Conditions(latency=latency), simulator=simulator)
    exact = conv_integers(POINTWISE, Pass.WEIGHT_GRAD, *operands)
    expected, _ = requantize(exact, 0, INT32)
    for program, result in zip(programs, results, strict=True):
        assert program.phases[0].in_turn
        assert program.phases[0].job_count > CONFIG.clusters
        assert np.array_equal(program.result(result.memory), expected)
        check_cycle_model(program, result, {"latency": latency}, program.plan)
