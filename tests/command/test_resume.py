"""`gscn train --resume`: to the very same weights and log, whenever a run was killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gscn.command.main import main
from gscn.command.training_log import read_training_log
from gscn.golden.training.training import Trainer

ROOT = Path(__file__).resolve().parents[2]
ITERATIONS = 40
WORDS = [
    "train",
    "--preset",
    "swat+resprop-90",
    "--batch",
    "8",
    "--epochs",
    "1",
    "--refresh-period",
]
WORDS += ["4", "--iterations", str(ITERATIONS), "--checkpoint-every", "1", "--resume"]


def outputs(folder: Path) -> list[str]:
    return ["--out", str(folder / "model.pt"), "--log", str(folder / "log.csv")]


def state(path: Path) -> dict[str, torch.Tensor]:
    return Trainer.load(path).network.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert main([*WORDS, *outputs(folder)]) == 0
    return folder


def start(folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "gscn.command.main", *WORDS, *outputs(folder)]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **threads}, stdout=subprocess.DEVNULL
    )


def test_runs_killed_at_random_moments_end_with_the_same_weights_and_log(whole, tmp_path):
    rng = random.Random(5)
    killed = 0
    # Before the first checkpoint, then between and within checkpoints.
    for goal in (0, 2, 12):
        process = start(tmp_path)
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline:
            log = tmp_path / "log.csv"
            if log.exists() and log.read_bytes().count(b"\n") > goal + 1:
                break
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        if (tmp_path / "model.pt").exists():
            assert Trainer.load(tmp_path / "model.pt").iteration <= ITERATIONS
    assert killed == 3, "the runs must not end before they are killed"
    assert main([*WORDS, *outputs(tmp_path)]) == 0
    assert same(state(tmp_path / "model.pt"), state(whole / "model.pt"))
    assert (tmp_path / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()
    assert len(read_training_log(tmp_path / "log.csv")) == ITERATIONS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "model.pt"]


def test_a_complete_run_is_left_as_it_is(whole, capsys):
    before = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert main([*WORDS, *outputs(whole)]) == 0
    assert "none of them now" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == before


def test_damage_is_named_and_nothing_is_lost(whole, tmp_path, capsys):
    content = (whole / "model.pt").read_bytes()
    (tmp_path / "model.pt").write_bytes(content[:-100])
    (tmp_path / "log.csv").write_bytes((whole / "log.csv").read_bytes())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main([*WORDS, *outputs(tmp_path)]) == 2
    assert f"{tmp_path / 'model.pt'} must be a checkpoint" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "model.pt").write_bytes(content)
    (tmp_path / "log.csv").write_text("something else")
    assert main([*WORDS, *outputs(tmp_path)]) == 2
    assert f"log {tmp_path / 'log.csv'} must begin with" in capsys.readouterr().err
    assert (tmp_path / "model.pt").read_bytes() == content


def test_another_recipe_is_refused(whole, capsys):
    words = ["train", "--out", str(whole / "model.pt"), "--resume", "--seed", "3", "--batch", "9"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "batch_size must be the checkpoint's 8, not 9" in error
    assert "seed must be the checkpoint's 0, not 3" in error


def test_the_log_is_drawn(whole, tmp_path):
    for name in ("model.pt", "log.csv"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    assert main([*WORDS, *outputs(tmp_path), "--plot", str(tmp_path / "new" / "run.svg")]) == 0
    text = (tmp_path / "new" / "run.svg").read_text()
    assert text.startswith("<?xml")
    table = (tmp_path / "new" / "run.csv").read_bytes()
    assert table == (tmp_path / "log.csv").read_bytes()
    assert main([*WORDS, *outputs(tmp_path), "--plot", str(tmp_path / "log.svg")]) == 0
    assert (tmp_path / "log.csv").read_bytes() == table
    assert main([*WORDS, *outputs(tmp_path), "--plot", str(tmp_path / "run.text")]) == 2
    row = read_training_log(tmp_path / "log.csv")[20]
    assert row["weights_sparsity"] == pytest.approx(0.9, abs=0.01)
    assert 0 < row["flops_saved"] < 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--resume"], "--resume needs --out"),
        (["--checkpoint-every", "0", "--out", "x.pt"], "--checkpoint-every must be at least 1"),
        (["--checkpoint-every", "2"], "--checkpoint-every must be at least 1, with --out"),
        (["--plot", "x.png"], "--plot needs --log"),
        (["--dataset", "cifar10"], "data must be a folder for the data sets cifar10"),
        (["--data", "x"], "data must be a folder for the data sets cifar10"),
        (
            ["--dataset", "cifar10", "--data", "absent", "--network", "resnet20"],
            "folder absent must",
        ),
    ],
)
def test_options_that_need_others_are_refused(words, complaint, capsys):
    assert main(["train", *words]) == 2
    assert complaint in capsys.readouterr().err


def test_files_of_other_runs_are_not_overwritten(tmp_path, capsys):
    for option in ("--out", "--log"):
        (tmp_path / "file").write_text("kept")
        assert main(["train", option, str(tmp_path / "file")]) == 2
        assert f"{option} {tmp_path / 'file'} exists already" in capsys.readouterr().err
        assert (tmp_path / "file").read_text() == "kept"
