"""The log of a training run, a CSV table or TensorBoard's, that goes on where a checkpoint does.

Rows are written through before a checkpoint is, so that a run that is killed finds all of them up
to its checkpoint; rows behind it, which are computed again, are dropped.
"""

from __future__ import annotations

import contextlib
import csv
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from gscn.errors import InputError, OutputError
from gscn.system.files import writing
from gscn.system.reading import is_there, read_text

if TYPE_CHECKING:
    from tensorboardX.proto.event_pb2 import Event

MOST_BYTES = 256 << 20
MOST_ROWS = 1_000_000
"""Of a log that is read: a row of each iteration."""
COLUMNS = (
    "iteration",
    "epoch",
    "loss",
    "accuracy",
    "test_accuracy",
    "weights_sparsity",
    "activations_sparsity",
    "output_grads_sparsity",
    "flops_saved",
    "dense_iteration",
)
"""Iterations done; epoch, from 0; cross-entropy in nats and share classified correctly, of the
mini-batch before its update; the same of the test images, where it was determined; shares of zeros
of each kind of tensor; share of the FLOPs that the method's zeros saved; 1 if dense by schedule."""


class Log(Protocol):
    """What rows of a training run are written to."""

    def write(self, row: Mapping[str, float | None]) -> None:
        """Append a row; values that are None, or missing, are left out."""

    def flush(self) -> None:
        """Have every row on the disk."""

    def close(self) -> None:
        """Write everything through; nothing can be written afterwards."""


@contextlib.contextmanager
def _log_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, OutputError) as error:
        raise OutputError(f"log {path} must be writable: {error}") from error


class TrainingLog:
    """Writes a log, row by row.

    Parameters
    ----------
    path
        The file. If it exists, rows of iterations done before are kept and others dropped.
    iteration
        Iterations that the checkpoint has, 0 without one.

    Raises
    ------
    InputError
        The file cannot be read or written, or is no log; it is then left as it is.
    """

    def __init__(self, path: Path, iteration: int = 0) -> None:
        self.path = Path(path)
        kept = []
        if is_there(self.path):
            kept = _kept_lines(self.path, iteration)
        with _log_errors(self.path):
            text = "".join(line + "\n" for line in (",".join(COLUMNS), *kept))
            with writing(self.path, f".{self.path.name}.partial") as file:
                file.write(text.encode())
            self._file: TextIO = self.path.open("a", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")

    def write(self, row: Mapping[str, float | None]) -> None:
        """Append a row; values that are None, or missing, stay empty."""
        with _log_errors(self.path):
            self._writer.writerow(
                {name: "" if row.get(name) is None else row[name] for name in COLUMNS}
            )

    def flush(self) -> None:
        """Have every row on the disk."""
        with _log_errors(self.path):
            self._file.flush()
            with contextlib.suppress(OSError):  # pipes and devices have no disk
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write everything through and close the file."""
        try:
            self.flush()
        finally:
            with contextlib.suppress(OSError):  # which `flush` has reported
                self._file.close()


class TensorBoardLog:
    """Writes the columns of a log as scalars for TensorBoard, by iteration.

    Parameters
    ----------
    directory
        Gets an event file of its own for each time that training goes on.
    iteration
        Iterations that the checkpoint has, 0 without one: later ones of earlier event files are
        declared void, which TensorBoard heeds.

    Raises
    ------
    InputError
        The directory cannot be written to.
    """

    def __init__(self, directory: Path, iteration: int = 0) -> None:
        # Not its SummaryWriter, whose flush leaves events in a queue.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._directory = directory
        with self._errors():
            directory.mkdir(parents=True, exist_ok=True)
            # Its names have the second; two processes may begin in the same one.
            self._writer = EventsWriter(str(directory / "events"), f".{os.getpid()}")
        started = SessionLog(status=SessionLog.START)
        self._add(Event(step=iteration + 1, session_log=started))

    def write(self, row: Mapping[str, float | None]) -> None:
        """Add the values of a row; those that are None, or missing, are left out."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=name, simple_value=row[name])
            for name in COLUMNS[1:]
            if row.get(name) is not None
        ]
        self._add(Event(step=int(row["iteration"]), summary=Summary(value=values)))

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        with self._errors():
            self._writer.write_event(event)

    def flush(self) -> None:
        """Have every value in the file."""
        with self._errors():
            self._writer.flush()

    def close(self) -> None:
        """Write everything through and close the file."""
        with self._errors():
            self._writer.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"TensorBoard's directory {self._directory} must be writable: {error}"
            ) from error


def read_training_log(path: Path) -> list[dict[str, float | None]]:
    """Return the rows of a log; empty cells are None.

    Raises
    ------
    InputError
        Naming the file, which cannot be read or is no log, and the line.
    """
    return [_parse(path, number, line) for number, line in _lines(path)]


def _lines(path: Path) -> list[tuple[int, str]]:
    lines = read_text(path, "log", most_bytes=MOST_BYTES).splitlines()
    if not lines or lines[0] != ",".join(COLUMNS):
        raise InputError(f"log {path} must begin with the columns {','.join(COLUMNS)}")
    if len(lines) > MOST_ROWS + 1:
        raise InputError(f"log {path} must have at most {MOST_ROWS} rows, not {len(lines) - 1}")
    return list(enumerate(lines[1:], 2))


def _parse(path: Path, number: int, line: str) -> dict[str, float | None]:
    try:
        cells = line.split(",")
        row = {
            name: float(cell) if cell else None for name, cell in zip(COLUMNS, cells, strict=True)
        }
        if not all(value is None or math.isfinite(value) for value in row.values()):
            raise ValueError("numbers must be finite")
    except ValueError as error:
        raise InputError(
            f"log {path}, line {number}: must be a row of numbers: {str(error)[:200]}"
        ) from error
    if row["iteration"] is None:
        raise InputError(f"log {path}, line {number}: iteration must be given")
    return row


def _kept_lines(path: Path, iteration: int) -> list[str]:
    kept: list[str] = []
    for number, line in _lines(path):
        # Lines behind the checkpoint may be cut short: they are not looked at.
        if len(kept) == iteration:
            break
        row = _parse(path, number, line)
        if row["iteration"] != len(kept) + 1:
            raise InputError(
                f"log {path}, line {number}: must be of iteration {len(kept) + 1}, "
                f"not {row['iteration']:g}"
            )
        kept.append(line)
    if len(kept) < iteration:
        raise InputError(
            f"log {path} must have the {iteration} iterations of the checkpoint, not {len(kept)}"
        )
    return kept
