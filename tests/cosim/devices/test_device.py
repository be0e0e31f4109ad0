"""Devices: simulators that stay up, are killed, and come back; pools; cut passes."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cosim import run
from gscn.cosim.builds.simulator import TEMPORARY_PREFIXES, build
from gscn.cosim.devices.device import Device, DeviceSettings, record_waves
from gscn.cosim.devices.jobs import PassJob, lower_job
from gscn.cosim.devices.pool import DevicePool, split_job
from gscn.cosim.errors import DeviceLost, SimulationError, SimulationTimeout
from gscn.cosim.scoreboard import model_cycles
from gscn.errors import InputError
from gscn.formats import BF16, FLOAT32
from gscn.golden.oracle.float_conv import conv_windowed, round_sums
from gscn.golden.oracle.synthetic import random_codes
from gscn.outputs import FloatOutput
from gscn.system.cache import remove_leftovers

pytestmark = pytest.mark.cosim

CONFIG = replace(ARRAYS["tiny"], float_formats="bf16")
SHAPE = ConvShape(n=3, c=4, h=7, w=6, k=5, r=3, s=3, padding=(1, 1))
LONG = ConvShape(n=16, c=16, h=16, w=16, k=16, r=3, s=3, padding=(1, 1))


def job(which=Pass.FORWARD, *, shape=SHAPE, density=0.4, seed=1, label="layer a, forward"):
    first, second = random_codes(shape, which, density, density, BF16, seed)
    return PassJob(
        label=label,
        shape=shape,
        which=which,
        first=first,
        second=second,
        out=FloatOutput(operands=BF16),
    )


def right(one):
    sums = conv_windowed(one.shape, one.which, one.first, one.second, BF16)
    return round_sums(sums, FLOAT32)[0]


def is_running(process_id):
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def ends_within(process_id, seconds):
    deadline = time.monotonic() + seconds
    while is_running(process_id) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(process_id)


@pytest.fixture(scope="module")
def simulator():
    return build(CONFIG)


@pytest.fixture(scope="module")
def device(simulator):
    with Device(CONFIG, simulator=simulator) as device:
        yield device


def test_one_process_runs_every_pass_as_the_golden_model_says(device):
    device.start()
    process, starts = device.process_id, device.starts
    for seed, which in enumerate(Pass):
        one = job(which, seed=seed)
        done = device.run_pass(one)
        assert np.array_equal(done.result, right(one))
        assert done.label == one.label
        assert done.process_id == process
        assert done.cycles > 0
        assert sum(map(sum, done.counters.values())) == done.cycles * CONFIG.multipliers
    assert (device.process_id, device.starts) == (process, starts)


def test_a_launch_is_what_a_process_of_its_own_makes_of_it(device, simulator):
    programs = [lower_job(CONFIG, job(which))[0] for which in Pass]
    for program, other in zip(programs, run(CONFIG, programs, simulator=simulator), strict=True):
        one = device.run(program)
        assert np.array_equal(one.memory, other.memory)
        assert np.array_equal(one.written, other.written)
        assert (one.cycles, one.counters) == (other.cycles, other.counters)
        assert (one.read_beats, one.write_beats) == (other.read_beats, other.write_beats)


def was_reset(run):  # two banks of accumulators are cleared then
    return run.simulated_cycles > run.cycles + 2 * CONFIG.acc_depth // CONFIG.drain_width


def test_without_a_comparison_a_reset_comes_first_and_where_flags_must_be_cleared(simulator):
    infinite = job(density=1.0)
    infinite = replace(infinite, first=np.full_like(infinite.first, BF16.infinity))
    settings = DeviceSettings(check_counters=False)
    with Device(CONFIG, settings, simulator=simulator) as device:
        runs = [device.run_pass(one) for one in (job(), job(seed=2), infinite, job(), job())]
    assert [was_reset(run) for run in runs] == [True, False, False, True, False]
    assert [run.flags["nonfinite"] for run in runs] == [False, False, True, False, False]
    for done, seed in ((runs[1], 2), (runs[4], 1)):
        assert np.array_equal(done.result, right(job(seed=seed)))


def test_with_a_comparison_a_reset_comes_before_every_pass(simulator):
    jobs = [job(which, seed=seed) for seed, which in enumerate(Pass)]
    with Device(CONFIG, simulator=simulator) as device:
        runs = [device.run_pass(one) for one in jobs]
    assert all(was_reset(run) for run in runs)
    for one, done in zip(jobs, runs, strict=True):
        model = model_cycles(lower_job(CONFIG, one)[0])
        assert done.cycles == model.cycles
        assert list(done.counters.values()) == model.counters.T.tolist()


def test_a_pass_that_cannot_be_lowered_is_refused_and_harms_nothing(device):
    device.start()
    process = device.process_id
    one = job()
    with pytest.raises(InputError, match="layer a, forward: "):
        device.run_pass(replace(one, first=one.first[:-1]))
    assert np.array_equal(device.run_pass(one).result, right(one))
    assert device.process_id == process


def test_a_killed_simulator_is_named_with_its_pass_and_replaced(device):
    device.start()
    process, starts = device.process_id, device.starts
    killed = []

    def kill():
        time.sleep(0.5)
        killed.append(time.monotonic())
        os.kill(process, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(DeviceLost, match=rf"{process} was ended by SIGKILL, during layer b, f"):
        device.run_pass(job(shape=LONG, density=1.0, label="layer b, forward"))
    assert time.monotonic() - killed[0] < 5
    thread.join()
    one = job()
    assert np.array_equal(device.run_pass(one).result, right(one))
    assert device.starts == starts + 1


def test_a_pass_that_takes_too_long_is_ended(simulator):
    settings = DeviceSettings(wall_timeout_seconds=0.3)
    with Device(CONFIG, settings, simulator=simulator) as device:
        device.start()
        process = device.process_id
        with pytest.raises(SimulationTimeout, match=r"must answer layer b within 0\.3 s"):
            device.run_pass(job(shape=LONG, density=1.0, label="layer b"))
        assert ends_within(process, 5)


def test_no_process_outlives_its_device(simulator):
    with Device(CONFIG, simulator=simulator) as closed:
        closed.start()
        process = closed.process_id
        assert is_running(process)
    assert ends_within(process, 5)
    with pytest.raises(InputError, match="must not be closed"):
        closed.run_pass(job())
    forgotten = Device(CONFIG, simulator=simulator)
    forgotten.start()
    process = forgotten.process_id
    del forgotten
    assert ends_within(process, 5)


def test_a_process_ends_when_its_parent_is_killed(simulator):
    program = (
        "import sys, time\n"
        "from dataclasses import replace\n"
        "from gscn.cosim.devices.device import Device\n"
        "from gscn.array import ARRAYS\n"
        "device = Device(replace(ARRAYS['tiny'], float_formats='bf16'))\n"
        "device.start()\n"
        "print(device.process_id, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        process = int(parent.stdout.readline())
        assert is_running(process)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    assert ends_within(process, 5)


@pytest.mark.parametrize("which", list(Pass))
def test_parts_of_a_pass_make_the_whole(device, which):
    one = job(which)
    parts = split_job(one, 2)
    assert len(parts) == 2
    assert [part.label for part in parts] == [f"{one.label}, part {n} of 2" for n in (1, 2)]
    results = np.concatenate([device.run_pass(part).result for part in parts])
    assert np.array_equal(results, right(one))


@pytest.mark.parametrize("which", list(Pass))
def test_parts_of_a_grouped_pass_are_groups_or_samples(which):
    one = job(which, shape=replace(SHAPE, c=6, k=9, groups=3))
    for number in (2, 3):
        parts = split_job(one, number)
        assert len(parts) == number
        for part in parts:
            pair = (part.first.shape, part.second.shape)
            assert pair == part.shape.operand_shapes(which)
        assert np.array_equal(np.concatenate([right(part) for part in parts]), right(one))
    assert len(split_job(one, 100)) == 3


def test_a_pass_has_no_more_parts_than_samples_or_channels():
    assert len(split_job(job(), 100)) == SHAPE.n
    assert len(split_job(job(Pass.WEIGHT_GRAD), 100)) == SHAPE.k
    one = job()
    assert split_job(one, 1) == [one]


def test_a_pool_runs_passes_on_all_its_devices(simulator):
    jobs = [job(which, seed=seed) for seed in range(2) for which in Pass]
    with DevicePool(CONFIG, 2, simulator=simulator) as pool:
        for device in pool.devices:
            device.start()
        runs = pool.run(jobs)
        processes = {device.process_id for device in pool.devices}
    for one, done in zip(jobs, runs, strict=True):
        assert np.array_equal(done.result, right(one))
    assert {done.process_id for done in runs} <= processes
    assert all(ends_within(process, 5) for process in processes)


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/usr/include/lz4.h").exists() or not Path("/usr/include/zlib.h").exists(),
    reason="Verilator's waves need Debian's liblz4-dev and zlib1g-dev",
)
def test_waves_of_a_pass_are_complete(tmp_path):
    path = tmp_path / "waves.fst"
    one = job()
    done = record_waves(CONFIG, one, path)
    assert np.array_equal(done.result, right(one))
    content = path.read_bytes()
    # An FST file begins with a header block: type 0, 329 bytes.
    assert (content[0], int.from_bytes(content[1:9], "big")) == (0, 329)
    assert len(content) > 100_000


def test_a_simulator_without_waves_is_refused(simulator):
    with pytest.raises(InputError, match="simulator must be built with waves='fst'"):
        Device(CONFIG, simulator=simulator, waves=Path("waves.fst"))


def test_a_latency_out_of_range_is_refused():
    with pytest.raises(InputError, match="latency must be at least 2 cycles, not 1"):
        DeviceSettings(latency=1)


def test_a_simulator_of_another_configuration_is_refused(simulator):
    with pytest.raises(InputError, match="simulator must be of configuration"):
        Device(ARRAYS["tiny"], simulator=simulator)
    with pytest.raises(InputError, match="devices must be at least 1, not 0"):
        DevicePool(CONFIG, 0, simulator=simulator)


def test_closing_does_not_wait_for_a_pass_under_way(simulator):
    device = Device(CONFIG, simulator=simulator)
    device.start()
    process = device.process_id
    errors = []
    one = job(shape=LONG, density=1.0)

    def run():
        try:
            device.run_pass(one)
        except DeviceLost as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 10
    while device._asked is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_running(process)
    started = time.monotonic()
    device.close()
    assert time.monotonic() - started < 3
    thread.join(3)
    assert not thread.is_alive()
    assert not is_running(process)
    assert "was ended by SIGKILL, during layer a, forward" in str(errors[0])
    with pytest.raises(InputError, match="must not be closed"):
        device.run_pass(job())


# Both start a simulator, of which the test hears before Python has begun in it.
STARTED = {
    "device": "Device(config, simulator=simulator).start()",
    "launch": "run(config, [program], simulator=simulator)",
}


@pytest.mark.parametrize("how", STARTED)
def test_a_process_that_has_just_started_ends_when_its_parent_is_killed(simulator, how, tmp_path):
    program = (
        "import subprocess\n"
        "from dataclasses import replace\n"
        "from cosim import run\n"
        "from gscn.cosim.builds.simulator import build\n"
        "from gscn.cosim.devices.device import Device\n"
        "from gscn.array import ARRAYS\n"
        "from tests.pass_programs import random_program\n"
        "config = replace(ARRAYS['tiny'], float_formats='bf16')\n"
        "simulator = build(config)\n"
        "program = random_program(1, 1, config=config)\n"
        "class Popen(subprocess.Popen):\n"
        "    def __init__(self, command, *args, **settings):\n"
        "        super().__init__(command, *args, **settings)\n"
        "        if command[0] == str(simulator.executable):\n"
        "            print(self.pid, flush=True)\n"
        "subprocess.Popen = Popen\n"
        f"{STARTED[how]}\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).resolve().parents[3], env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    try:
        process = int(parent.stdout.readline())
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    assert ends_within(process, 1)
    # What the parent could not remove goes with the next build.
    assert len(list(tmp_path.iterdir())) == 1
    remove_leftovers(tmp_path, *TEMPORARY_PREFIXES)
    assert list(tmp_path.iterdir()) == []


def test_a_simulator_that_cannot_be_executed_is_named(simulator, tmp_path):
    broken = tmp_path / "gscn_testbench"
    for content in (b"", b"\x7fELF"):
        broken.write_bytes(content)
        broken.chmod(0o700)
        with (
            Device(CONFIG, simulator=replace(simulator, executable=broken)) as device,
            pytest.raises(SimulationError, match=f"simulator {broken} must be a program that runs"),
        ):
            device.start()


def test_a_device_runs_in_a_folder_of_its_own(simulator, tmp_path, monkeypatch):
    for name in ("cocotb", "numpy", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('planted')\n")
    monkeypatch.chdir(tmp_path)
    with Device(CONFIG, simulator=simulator) as device:
        device.start()
        place = Path(f"/proc/{device.process_id}/cwd").readlink()
        assert place.name.startswith("gscn-device-")
        assert place.stat().st_mode & 0o777 == 0o700
    assert not place.exists()
