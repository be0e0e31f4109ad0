"""Every launch that is judged has all its counters compared with the cycle model's."""

import asyncio
import dataclasses
import json

import numpy as np
import pytest

import gscn.cosim.layer
from gscn.array import ARRAYS
from gscn.command.main import main
from gscn.conv import ConvShape, Pass
from gscn.cosim.conditions import Conditions
from gscn.cosim.devices.jobs import DONE, FAILED, PassJob, lower_job
from gscn.cosim.inside import device_testbench
from gscn.cosim.layer import PassInput, check_pass, check_passes
from gscn.cosim.scoreboard import (
    compare_arrays,
    counter_differences,
    model_cycles,
    stalled_counter_differences,
)
from gscn.cosim.simulation import RunResult, launch_settings
from gscn.counters import CLUSTER_COUNTER_NAMES, CLUSTER_EVENT_NAMES, COUNTERS_PER_CLUSTER
from gscn.emulator.passes import run_passes
from gscn.formats import BF16
from gscn.golden.oracle.synthetic import random_codes, random_operands
from gscn.outputs import FloatOutput

CONFIG = ARRAYS["small"]
SHAPE = ConvShape(n=1, c=4, h=6, w=6, k=4, r=3, s=3)


def counted(program, **settings):
    """Return the launch as an accelerator without fault runs it, by the models."""
    model = model_cycles(program, **settings)
    done = run_passes(
        program.config, program.image, program.descriptors_addr, program.descriptor_count,
        program.memory_bytes,
    )  # fmt: skip
    memory = done.memory
    written = np.zeros(program.memory_bytes, bool)
    for first, end in program.output_ranges:
        written[first:end] = True
    return RunResult(
        memory=memory,
        written=written,
        cycles=model.cycles,
        counters={
            name: model.counters[:, index].tolist()
            for index, name in enumerate(CLUSTER_COUNTER_NAMES)
        },
        events={
            name: model.events[:, index].tolist() for index, name in enumerate(CLUSTER_EVENT_NAMES)
        },
        flags={},
        read_beats=model.read_beats,
        write_beats=model.write_beats,
        simulated_cycles=model.cycles + 10,
        wall_seconds=1.0,
        error_code=0,
        error_pass=0,
        error=None,
        timed_out=False,
    )


@pytest.fixture
def launches(monkeypatch):
    """Put the models in place of the simulator; return what changes a result, by its place."""
    changes = []

    def run(config, programs, conditions, **_):
        results = [counted(program, latency=conditions.latency) for program in programs]
        for index, change in changes:
            change(results[index])
        return results

    monkeypatch.setattr(gscn.cosim.layer, "run", run)
    for module in ("builds.simulator", "layer"):
        monkeypatch.setattr(f"gscn.cosim.{module}.build", lambda *_, **__: Simulator())
    return changes


class Simulator:
    axi = False
    digest = "none"


def inputs():
    return [
        PassInput(layer="one", shape=SHAPE, which=which, first=first, second=second)
        for which in Pass
        for first, second in [random_operands(SHAPE, which, 0.4, 0.4, CONFIG.format, 3)]
    ]


def checked(**settings):
    return check_passes(CONFIG, inputs(), Conditions(**settings), simulator=Simulator())


def change_counter(name, cluster, by):
    def change(result):
        result.counters[name][cluster] += by

    return change


def change_field(name, by):
    return lambda result: object.__setattr__(result, name, getattr(result, name) + by)


def test_equal_counters_are_good(launches):
    for outcome in (*checked(), *checked(stall_probability=0.2)):
        assert outcome.comparison.good
        assert outcome.comparison.details == ()


@pytest.mark.parametrize("name", CLUSTER_COUNTER_NAMES)
@pytest.mark.parametrize("cluster", range(CONFIG.clusters))
def test_one_changed_counter_of_any_cluster_is_found_and_named(launches, name, cluster):
    launches.append((1, change_counter(name, cluster, 3)))
    good, bad, also_good = checked()
    assert good.comparison.good
    assert also_good.comparison.good
    assert not bad.comparison.good
    assert (bad.comparison.mismatches, bad.comparison.wrong_counters) == (0, 1)
    index = CLUSTER_COUNTER_NAMES.index(name)
    right = int(bad.model.counters[cluster, index])
    assert bad.comparison.details == (
        f"counter {name} of cluster {cluster}: {right + 3} in RTL, {right} in the cycle model",
    )


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("cycles", "cycles of the core"), ("read_beats", "beats read"),
        ("write_beats", "beats written"),
    ],
)  # fmt: skip
def test_counts_of_the_core_are_compared(launches, field, name):
    launches.append((0, change_field(field, 1)))
    bad = checked()[0]
    right = getattr(bad.model, field)
    assert bad.comparison.details == (f"{name}: {right + 1} in RTL, {right} in the cycle model",)


@pytest.mark.parametrize("name", CLUSTER_COUNTER_NAMES)
def test_with_a_memory_that_pauses_sums_and_work_are_compared(launches, name):
    launches.append((0, change_counter(name, 2, 1)))
    bad, *others = checked(stall_probability=0.2)
    assert all(outcome.comparison.good for outcome in others)
    assert bad.comparison.details[0].startswith("sum of the counters of cluster 2: ")
    launches[:] = [(0, change_counter("busy", 0, -1)), (0, change_counter("idle", 0, 1))]
    bad = checked(stall_probability=0.2)[0]
    assert [text.split(":")[0] for text in bad.comparison.details] == [
        "counter busy of all clusters"
    ]


def test_the_command_fails_and_names_counter_cluster_and_both_values(launches, tmp_path, capsys):
    launches.append((0, change_counter("stream", 1, 944)))
    report = tmp_path / "report.json"
    arguments = ["cosim", "--conv", "1,4,6,6,4,3,3", "--config", "small", "--pass", "forward"]
    assert main([*arguments, "--json", str(report)]) == 1
    (told,) = json.loads(report.read_text())["passes"]
    assert (told["mismatches"], told["wrong_counters"]) == (0, 1)
    value = told["counters"]["stream"][1]
    line = (
        f"synthetic forward: counter stream of cluster 1: {value} in RTL, "
        f"{value - 944} in the cycle model"
    )
    assert line in capsys.readouterr().out
    launches.clear()
    assert main(arguments) == 0


class DeviceOfModels:
    config = CONFIG
    latency = 20

    def run(self, program, *, label):
        result = counted(program, latency=self.latency)
        result.counters["tail"][3] += 1
        return result


def test_a_pass_on_a_device_is_compared_as_well():
    outcome = check_pass(DeviceOfModels(), inputs()[0])
    assert outcome.comparison.wrong_counters == 1
    assert "counter tail of cluster 3: " in outcome.comparison.details[0]


FLOATS = dataclasses.replace(ARRAYS["tiny"], float_formats="bf16")


class Library:
    @staticmethod
    def gscn_flags():
        return 0


def run_on_testbench(monkeypatch, change=lambda _: None, *, check_counters=True, reset=True):
    """Run a pass as the testbench of a device does, with the models as the accelerator."""
    first, second = random_codes(SHAPE, Pass.FORWARD, 0.4, 0.4, BF16, 3)
    job = PassJob(
        label="layer a, forward", shape=SHAPE, which=Pass.FORWARD, first=first, second=second,
        out=FloatOutput(operands=BF16),
    )  # fmt: skip
    program, _ = lower_job(FLOATS, job)
    model = model_cycles(program)
    resets = []

    async def run_launch(dut, library, settings, launch, image):
        resets.append(launch["reset"])
        outcome = {
            "error": "", "status": "ok", "flags": 0, "cycles": model.cycles,
            "counters": [*np.hstack([model.counters, model.events]).flat, model.cycles],
            "read_beats": model.read_beats, "write_beats": model.write_beats,
            "simulated_cycles": model.cycles, "cpu_seconds": 0.0,
        }  # fmt: skip
        change(outcome)
        return outcome

    memory = np.zeros(program.memory_bytes, np.uint8)
    monkeypatch.setattr(device_testbench, "run_launch", run_launch)
    monkeypatch.setattr(device_testbench, "memory_of", lambda *_: (memory, memory))
    setup = {
        "config": FLOATS, "settings": launch_settings(FLOATS), "forbidden_flags": (),
        "check_counters": check_counters,
    }  # fmt: skip
    answer = asyncio.run(device_testbench._run_pass(None, Library, setup, job, reset=reset))
    assert resets == [reset]
    return answer, model


@pytest.mark.parametrize("place", [0, 4, 8, 12, 13, 25, -1])
def test_a_changed_counter_fails_a_pass_in_training(monkeypatch, place):
    def change(outcome):
        outcome["counters"][place] += 1
        outcome["cycles"] = outcome["counters"][-1]

    answer, model = run_on_testbench(monkeypatch, change)
    assert answer[0] == FAILED
    timed_out, problem = answer[1]
    assert not timed_out
    if place == -1:
        assert problem.startswith(f"cycles of the core: {model.cycles + 1} in RTL, ")
    else:
        cluster, index = divmod(place, COUNTERS_PER_CLUSTER)
        name = (*CLUSTER_COUNTER_NAMES, *CLUSTER_EVENT_NAMES)[index]
        right = np.hstack([model.counters, model.events])[cluster, index]
        assert problem == (
            f"counter {name} of cluster {cluster}: {right + 1} in RTL, {right} in the cycle model"
        )


def test_an_unchecked_pass_still_counts_every_cycle_of_each_pe_once(monkeypatch):
    unchecked = {"check_counters": False, "reset": False}
    answer, _ = run_on_testbench(monkeypatch, **unchecked)
    assert answer[0] == DONE

    def move(outcome):
        outcome["counters"][0] += 1
        outcome["counters"][1] -= 1

    answer, _ = run_on_testbench(monkeypatch, move, **unchecked)
    assert answer[0] == DONE

    def add(outcome):
        outcome["counters"][0] += 1

    answer, model = run_on_testbench(monkeypatch, add, **unchecked)
    cycles = model.cycles * FLOATS.pes
    assert answer == (
        FAILED,
        (
            False,
            f"sum of the counters of cluster 0: {cycles + 1} in RTL, {cycles} cycles of its PEs",
        ),
    )


def test_all_differences_are_counted_and_the_first_described():
    program = lower_job(
        FLOATS,
        PassJob(
            label="", shape=SHAPE, which=Pass.FORWARD, out=FloatOutput(operands=BF16),
            **dict(zip(("first", "second"), random_codes(SHAPE, Pass.FORWARD, 1, 1, BF16, 3),
                       strict=True)),
        ),
    )[0]  # fmt: skip
    result, model = counted(program), model_cycles(program)
    assert counter_differences(result, model) == []
    assert stalled_counter_differences(result, model, FLOATS) == []
    for values in (*result.counters.values(), *result.events.values()):
        for cluster in range(FLOATS.clusters):
            values[cluster] += 1
    differences = counter_differences(result, model)
    assert len(differences) == COUNTERS_PER_CLUSTER * FLOATS.clusters
    words = compare_arrays(np.zeros(1, int), np.zeros(1, int)).with_counters(differences)
    assert not words.good
    assert words.wrong_counters == len(differences)
    assert words.details == tuple(differences[:8])


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.parametrize("pes", [1, 2, 4, 8, 16])
def test_counters_are_right_for_any_number_of_pes(pes, tmp_path):
    report = tmp_path / "report.json"
    arguments = ["--config", "tiny", "--set", f"pes={pes}"]
    arguments += ["--conv", "2,8,8,8,8,3,3", "--pass", "forward", "--json", str(report)]
    assert main(["cosim", *arguments]) == 0
    (told,) = json.loads(report.read_text())["passes"]
    clusters = np.array(list(told["counters"].values())).sum(axis=0)
    assert clusters.tolist() == [told["cycles"] * pes] * ARRAYS["tiny"].clusters
