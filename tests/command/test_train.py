"""`gscn train`."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from PIL import Image

from gscn.command.main import main
from gscn.command.training_log import read_training_log
from gscn.golden.training.training import Trainer
from tests.events import scalars


def test_trains_reports_and_writes_a_checkpoint(tmp_path, capsys):
    checkpoint, report = tmp_path / "new" / "model.pt", tmp_path / "report.json"
    words = ["train", "--method", "swat", "--sparsity", "0.7", "--epochs", "2", "--iterations", "3"]
    words += ["--batch", "16", "--seed", "4", "--out", str(checkpoint), "--json", str(report)]
    assert main(words) == 0
    captured = capsys.readouterr()
    data = json.loads(report.read_text())
    trainer = Trainer.load(checkpoint)
    recipe = trainer.recipe
    assert (recipe.method, recipe.sparsity, recipe.epochs) == ("swat", 0.7, 2)
    assert (recipe.batch_size, recipe.seed, trainer.iteration) == (16, 4, 3)
    assert (data["iterations"], data["iterations_per_epoch"]) == (3, 84)
    assert data["test_accuracy"] == trainer.evaluate()
    assert "swat, sparsity 0.7: 3 iterations of 16 images" in captured.out
    assert captured.err == "", "no progress bar without a terminal"


def test_further_options_reach_the_recipe(tmp_path):
    checkpoint = tmp_path / "model.pt"
    words = ["train", "--method", "swat+resprop", "--iterations", "1", "--refresh-period", "7"]
    words += ["--warm-up", "--first-conv", "sparse", "--arithmetic", "bf16"]
    words += ["--out", str(checkpoint)]
    assert main(words) == 0
    recipe = Trainer.load(checkpoint).recipe
    assert (recipe.refresh_period, recipe.warm_up, recipe.first_conv) == (7, True, "sparse")
    assert recipe.arithmetic == "bf16"


def test_formats_and_scales_reach_the_recipe_and_are_told(tmp_path, capsys):
    checkpoint, report = tmp_path / "model.pt", tmp_path / "report.json"
    words = ["train", "--iterations", "2", "--batch", "4", "--out", str(checkpoint)]
    words += ["--arithmetic", "fp8_e4m3", "--scales", "mx", "--loss-scale", "1024"]
    assert main([*words, "--json", str(report)]) == 0
    recipe = Trainer.load(checkpoint).recipe
    assert (recipe.arithmetic, recipe.scales, recipe.loss_scale) == ("fp8_e4m3", "mx", 1024.0)
    data = json.loads(report.read_text())
    assert (data["scales"], data["loss_scale"], data["loss_scale_reached"]) == ("mx", 1024, 1024)
    assert data["steps_left_out"] == 0
    assert "fp8_e4m3: 2 iterations" in (out := capsys.readouterr().out)
    assert "loss scale 1024, 0 steps left out" in out


def test_steps_that_a_scale_is_too_large_for_are_counted(tmp_path, capsys):
    report = tmp_path / "report.json"
    words = ["train", "--iterations", "2", "--batch", "4", "--arithmetic", "fp16"]
    assert main([*words, "--loss-scale", str(2.0**24), "--json", str(report)]) == 0
    assert json.loads(report.read_text())["steps_left_out"] == 2
    assert "2 steps left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--loss-scale", "3"], "loss_scale must be none, dynamic or a power of two from 2**-24"),
        (["--loss-scale", "nan"], "loss_scale must be none, dynamic or a power of two"),
        (["--loss-scale", "auto"], "or a power of two from 2**-24 to 2**24, not 'auto'"),
        (["--scales", "amax"], "scales must be none for float32, not amax"),
        (["--arithmetic", "bf16", "--scales", "amax"], "scales must be none for bf16, not amax"),
        (
            ["--arithmetic", "fp16", "--scales", "mx"],
            "scales must be none or amax for fp16, not mx",
        ),
    ],
)
def test_scales_that_do_not_fit_are_refused(words, problem, capsys):
    assert main(["train", *words]) == 2
    assert problem in capsys.readouterr().err


def test_options_of_the_larger_network_reach_the_recipe(tmp_path):
    checkpoint, report = tmp_path / "model.pt", tmp_path / "report.json"
    words = ["train", "--network", "resnet18", "--width", "2", "--batch", "4", "--epochs", "3"]
    words += ["--iterations-per-epoch", "2", "--learning-rate", "0.01", "--iterations", "3"]
    assert main([*words, "--out", str(checkpoint), "--json", str(report)]) == 0
    trainer = Trainer.load(checkpoint)
    recipe = trainer.recipe
    assert (recipe.network, recipe.width, recipe.learning_rate) == ("resnet18", 2, 0.01)
    assert (recipe.epochs, recipe.iterations_per_epoch, trainer.iterations) == (3, 2, 6)
    data = json.loads(report.read_text())
    assert (data["network"], data["dataset"]) == ("resnet18", "composites")
    assert (data["iterations"], data["iterations_per_epoch"]) == (3, 2)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--sparsity", "1.0"], "sparsity must be at least 0 and less than 1, not 1.0"),
        (["--epochs", "1", "--iterations", "43"], "--iterations must be 1 to the 42 iterations"),
        (["--iterations", "0"], "--iterations must be 1 to the"),
        (["--iterations-per-epoch", "43"], "iterations_per_epoch must be at most the 42 mini-"),
        (["--network", "resnet18", "--width", "0"], "width must be at least 1, not 0"),
        (["--batch", "5000"], "batch_size must be at most the 1348 training images, not 5000"),
    ],
)
def test_bad_arguments_end_with_status_2(words, complaint, capsys):
    assert main(["train", *words]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "trace"])
def test_options_that_a_method_does_not_have_are_refused(command, tmp_path, capsys):
    end = ["--iterations", "1", "--out", str(tmp_path / "out")]
    for words, complaint in (
        (["--method", "dst", "--sparsity", "0.9"], "sparsity is no option of the method dst"),
        (["--sparsity", "0.9"], "sparsity is no option of the method dense"),
        (["--method", "resprop", "--budget", "erk"], "budget is no option of the method resprop"),
        (["--preset", "swat-u-80", "--warm-up"], "warm_up is no option of the method swat"),
        (["--preset", "swat-u-80", "--method", "dst"], "sparsity is no option of the method dst"),
        (["--network", "vgg16", "--width", "8"], "width is for the networks resnet18"),
    ):
        assert main([command, *words, *end]) == 2
        assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_going_on_refuses_options_that_the_method_does_not_have(tmp_path, capsys):
    words = ["train", "--method", "dst", "--epochs", "1", "--out", str(tmp_path / "model.pt")]
    assert main([*words, "--iterations", "1"]) == 0
    assert main([*words, "--resume", "--iterations", "2", "--sparsity", "0.9"]) == 2
    assert "sparsity is no option of the method dst" in capsys.readouterr().err
    assert main([*words, "--resume", "--iterations", "2"]) == 0


def test_the_sparsity_reached_is_reported_and_not_the_one_asked_for(tmp_path, capsys):
    end = ["--epochs", "2", "--iterations-per-epoch", "3", "--batch", "8"]
    log, report = tmp_path / "log.csv", tmp_path / "report.json"
    for method, asked in (("swat", 0.8), ("dst", None), ("resprop", 0.8)):
        words = ["train", "--method", method, *end, "--log", str(log), "--json", str(report)]
        assert main(words) == 0
        data = json.loads(report.read_text())
        assert data["sparsity"] == asked
        rows = read_training_log(log)[-3:]
        for kind in ("weights", "activations", "output_grads"):
            mean = sum(row[f"{kind}_sparsity"] for row in rows) / 3
            assert data["sparsity_reached"][kind] == pytest.approx(mean)
        shares = [100 * data["sparsity_reached"][k] for k in ("weights", "activations")]
        text = "mean of the last 3 iterations: weights {:.1f} %, activations {:.1f} %, gradients"
        assert text.format(*shares) in capsys.readouterr().out
        log.unlink()
        reached = data["sparsity_reached"]["weights"]
        assert reached == pytest.approx(0.8, abs=0.02) if method == "swat" else reached < 0.1


def test_tensorboard_gets_the_log(tmp_path, capsys):
    board, log = tmp_path / "board", tmp_path / "log.csv"
    words = ["train", "--method", "swat", "--batch", "16", "--epochs", "1", "--iterations", "3"]
    words += ["--out", str(tmp_path / "model.pt"), "--tensorboard", str(board)]
    assert main([*words, "--log", str(log)]) == 0
    (path,) = board.iterdir()
    expected = [
        (row["iteration"], name, pytest.approx(value))
        for row in read_training_log(log)
        for name, value in row.items()
        if name != "iteration" and value is not None
    ]
    assert scalars(path) == expected
    assert main([*words[:-4], "--tensorboard", str(board)]) == 2
    assert f"--tensorboard {board} has the events of another run" in capsys.readouterr().err
    assert main([*words[:-4], "--tensorboard", str(log)]) == 2
    refused = f"--tensorboard {log} must be a folder that can be written: Not a directory"
    assert refused in capsys.readouterr().err


def test_checkpoint_that_cannot_be_written_is_refused_before_training(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for out in (tmp_path, tmp_path / "file" / "model.pt"):
        assert main(["train", "--iterations", "1", "--out", str(out)]) == 2
        assert f"--out {out} must be a file that can be written" in capsys.readouterr().err


def test_a_folder_of_images_is_learned_from(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        for name in ("ants", "bees", "cats"):
            (tmp_path / part / name).mkdir(parents=True)
            for index in range(3):
                pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{index}.png")
    words = ["train", "--network", "wrn16-1", "--dataset", "imagefolder", "--data", str(tmp_path)]
    words += ["--image-size", "32", "--batch", "4", "--epochs", "1", "--preset", "swat-erk-80"]
    report = tmp_path / "report.json"
    assert main([*words, "--augment", "--json", str(report)]) == 0
    data = json.loads(report.read_text())
    assert (data["dataset"], data["iterations"], data["sparsity"]) == ("imagefolder", 2, 0.8)
    assert "swat, sparsity 0.8: 2 iterations of 4 images" in capsys.readouterr().out
    (tmp_path / "train" / "bees" / "1.png").write_bytes(b"no image")
    assert main(words) == 2
    assert "train/bees/1.png must be a whole image" in capsys.readouterr().err


def test_options_replace_those_of_a_preset(tmp_path):
    checkpoint = tmp_path / "model.pt"
    words = ["train", "--preset", "w-resprop-90", "--sparsity", "0.5", "--iterations", "1"]
    assert main([*words, "--out", str(checkpoint)]) == 0
    recipe = Trainer.load(checkpoint).recipe
    assert (recipe.method, recipe.sparsity, recipe.warm_up) == ("resprop", 0.5, True)


def test_progress_is_shown_on_a_terminal_only(capsys, monkeypatch):
    words = ["train", "--preset", "swat-u-80", "--iterations", "2", "--batch", "8"]
    assert main(words) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    assert main(words) == 0
    # Whatever is too long for one line goes on in the next.
    shown = " ".join(capsys.readouterr().err.split())
    assert "2/2" in shown
    for part in ("loss", "accuracy", "weights 80 %", "activations", "gradients", "FLOPs saved"):
        assert part in shown
