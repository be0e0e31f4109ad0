"""The training log: rows up to a checkpoint are kept, later ones dropped, other files refused."""

from __future__ import annotations

import pytest
from tensorboardX.proto.event_pb2 import SessionLog

from gscn.command.plots import plot_training
from gscn.command.training_log import COLUMNS, TensorBoardLog, TrainingLog, read_training_log
from gscn.errors import InputError
from tests.events import events, scalars


def row(iteration: int) -> dict[str, float]:
    return {"iteration": iteration, "epoch": 0, "loss": 1 / (2 + iteration), "accuracy": 0.5}


def written(path, iterations, start=0):
    log = TrainingLog(path, start)
    for iteration in iterations:
        log.write(row(iteration))
    log.close()
    return path


def test_rows_are_read_as_they_were_written(tmp_path):
    path = written(tmp_path / "new" / "log.csv", [1, 2])
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert read_training_log(path) == [{**dict.fromkeys(COLUMNS), **row(n)} for n in (1, 2)]


def test_a_log_goes_on_where_the_checkpoint_does(tmp_path):
    whole = written(tmp_path / "whole.csv", range(1, 6))
    cut = written(tmp_path / "cut.csv", range(1, 5))
    # Killed while the fifth row was written, behind the checkpoint of the third iteration.
    cut.write_text(cut.read_text() + "5,0,0.1")
    assert written(cut, (4, 5), start=3).read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.csv", "whole.csv"]
    assert len(read_training_log(written(cut, (1,)))) == 1, "without a checkpoint it starts anew"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("name,size\nalice,3\n", "must begin with the columns iteration,epoch"),
        ("", "must begin with the columns"),
        (",".join(COLUMNS) + "\n1" + ",0" * 9 + "\n", "the 2 iterations of the checkpoint, not 1"),
        (",".join(COLUMNS) + "\n1" + ",0" * 9 + "\n3" + ",0" * 9, "line 3: must be of iteration 2"),
        (",".join(COLUMNS) + "\n1,0\n", "line 2: must be a row of numbers"),
        (",".join(COLUMNS) + "\n1,x" + ",0" * 8 + "\n", "line 2: must be a row of numbers"),
        (",".join(COLUMNS) + "\n" + "," * 9 + "\n", "line 2: iteration must be given"),
    ],
)
def test_other_files_are_named_and_left_alone(tmp_path, content, complaint):
    path = tmp_path / "log.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=complaint) as caught:
        TrainingLog(path, 2)
    assert str(path) in str(caught.value)
    assert path.read_text() == content
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="must be UTF-8 text"):
        read_training_log(tmp_path / "binary")
    with pytest.raises(InputError, match="must be writable"):
        TrainingLog(path / "below.csv")


def test_the_plot_shows_the_columns_of_the_log():
    table = [
        {**dict.fromkeys(COLUMNS), **row(n), "weights_sparsity": 0.9, "flops_saved": 0.3}
        for n in (1, 2, 3)
    ]
    table[2]["test_accuracy"] = 0.75
    loss, shares = plot_training(table)
    assert loss.lines[0].get_ydata().tolist() == [row(n)["loss"] for n in (1, 2, 3)]
    drawn = {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in shares.lines
    }
    assert drawn == {
        "accuracy, mini-batch": ([1, 2, 3], [50.0] * 3),
        "accuracy, test": ([3], [75.0]),
        "zeros of weights": ([1, 2, 3], [90.0] * 3),
        "FLOPs saved": ([1, 2, 3], [30.0] * 3),
    }
    with pytest.raises(InputError, match="at least one row"):
        plot_training([])


def test_tensorboard_gets_the_values_that_there_are(tmp_path):
    log = TensorBoardLog(tmp_path / "new" / "board")
    log.write({**dict.fromkeys(COLUMNS), **row(2), "test_accuracy": 0.75})
    log.flush()
    (path,) = (tmp_path / "new" / "board").iterdir()
    expected = [(2, "epoch", 0), (2, "loss", 0.25), (2, "accuracy", 0.5)]
    assert scalars(path) == [*expected, (2, "test_accuracy", 0.75)]
    log.close()
    with pytest.raises(InputError, match="must be writable"):
        TensorBoardLog(path / "below")


def test_tensorboard_is_told_which_events_are_computed_again(tmp_path):
    for iterations, start in (((1, 2, 3), 0), ((3, 4), 2)):
        log = TensorBoardLog(tmp_path / str(start), start)
        for iteration in iterations:
            log.write(row(iteration))
        log.close()
    (resumed,) = (tmp_path / "2").iterdir()
    (start,) = (e for e in events(resumed) if e.session_log.status == SessionLog.START)
    assert start.step == 3
    assert sorted({step for step, _, _ in scalars(resumed)}) == [3, 4]
