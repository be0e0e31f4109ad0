"""Signals end the command in order, wherever it is: status, time, messages, and nothing left."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import time
from types import SimpleNamespace

import pytest

from gscn.command import interrupts
from gscn.command import main as command
from gscn.command.interrupts import Interruption, Interrupts
from gscn.command.main import main
from gscn.command.result import Result
from gscn.system.files import temporary_beside
from tests.interruptions import interrupt, problems

SEED = 20
INTERRUPTIONS = 100


@pytest.fixture
def subcommand(monkeypatch):
    """Put a subcommand whose work the test sets in place of the real ones."""
    module = SimpleNamespace(
        SUMMARY="Does what the test says.",
        EXAMPLE="gscn fake",
        add_arguments=lambda _: None,
        run=lambda _: module.work() or Result(text="done"),
    )
    monkeypatch.setattr(command, "SUBCOMMANDS", ("fake",))
    monkeypatch.setitem(sys.modules, "gscn.command.fake", module)
    # The handler asks all processes below this one to end; other tests may have some.
    monkeypatch.setattr(interrupts, "ask_descendants", lambda: None)
    monkeypatch.setattr(interrupts, "end_descendants", lambda: None)
    return module


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_its_status_and_one_line(subcommand, capsys, number):
    subcommand.work = lambda: send(number)
    assert main(["fake"]) == 128 + number
    assert capsys.readouterr() == ("", f"gscn: ended by {number.name}\n")


def test_contexts_are_left_and_signals_given_back(subcommand, tmp_path):
    def work():
        with temporary_beside(tmp_path / "result") as place:
            place.write_text("half")
            send(signal.SIGTERM)

    subcommand.work = work
    before = [signal.getsignal(number) for number in interrupts.SIGNALS]
    hooks = sys.unraisablehook, logging.root.manager.disable
    assert main(["fake"]) == 143
    assert list(tmp_path.iterdir()) == []
    assert [signal.getsignal(number) for number in interrupts.SIGNALS] == before
    assert (sys.unraisablehook, logging.root.manager.disable) == hooks


def test_later_signals_do_not_disturb_the_end(subcommand, capsys):
    def work():
        try:
            send(signal.SIGINT)
        finally:
            send(signal.SIGINT)
            send(signal.SIGTERM)

    subcommand.work = work
    assert main(["fake"]) == 130
    assert capsys.readouterr().err == "gscn: ended by SIGINT\n"


def test_another_error_that_a_signal_brings_about_is_not_shown(subcommand, capsys):
    def work():
        try:
            send(signal.SIGTERM)
        except Interruption:
            raise ImportError("numpy must be whole") from None

    subcommand.work = work
    assert main(["fake"]) == 143
    assert capsys.readouterr().err == "gscn: ended by SIGTERM\n"


def test_a_signal_in_a_callback_of_the_interpreter_is_not_lost(subcommand, capsys):
    class Ended:
        def __del__(self):
            send(signal.SIGTERM)
            time.sleep(0.01)

    def work():
        Ended()
        time.sleep(5)

    subcommand.work = work
    start = time.monotonic()
    assert main(["fake"]) == 143
    assert time.monotonic() - start < 2
    assert capsys.readouterr().err == "gscn: ended by SIGTERM\n"


def test_signals_that_were_ignored_stay_ignored(subcommand, capsys):
    subcommand.work = lambda: send(signal.SIGHUP)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main(["fake"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert capsys.readouterr() == ("done\n", "")


def test_an_exception_without_a_signal_passes():
    with pytest.raises(KeyboardInterrupt), Interrupts():
        raise KeyboardInterrupt


def test_what_does_not_unwind_is_ended(tmp_path):
    """As a library does that swallows the exception, or a long call of one in C."""
    (tmp_path / "sitecustomize.py").write_text(
        "import gscn.command.trace as trace\n"
        "import time\n"
        "def run(args):\n"
        "    while True:\n"
        "        try:\n"
        "            time.sleep(60)\n"
        "        except BaseException:\n"
        "            pass\n"
        "trace.run = run\n"
    )
    number = signal.SIGTERM
    one = interrupt(
        ["trace", "--out", "trace"],
        tmp_path,
        1.0,
        number,
        environment={"PYTHONPATH": str(tmp_path)},
    )
    assert (one.early, problems(one, number)) == (False, [])
    assert one.seconds > 1


ESTIMATE = ("estimate", "--model", "resnet50", "--batch", "4")
TRAIN = ("train", "--method", "swat", "--epochs", "1000", "--log", "{}.csv", "--out", "{}.pt")
PUBLISH = ("publish-operands", "--only", "vgg16-dst", "--out", "{}-operands")


@pytest.mark.parametrize(
    ("words", "delay", "number", "group"),
    [
        (ESTIMATE, 0.0, signal.SIGTERM, False),
        (ESTIMATE, 3.0, signal.SIGINT, True),
        (TRAIN, 0.8, signal.SIGINT, True),
        (("generate", "--config", "tiny", "--out", "rtl"), 1.0, signal.SIGTERM, False),
        (PUBLISH, 3.0, signal.SIGINT, True),
    ],
    ids=["at-once", "workers", "imports", "yosys", "recorder"],
)
def test_a_command_that_is_interrupted_leaves_nothing(tmp_path, words, delay, number, group):
    words = [word.format("run") for word in words]
    # where no Verilog is kept that would end it early
    new = {"GSCN_BUILD_DIR": str(tmp_path / "cache")} if words[0] == "generate" else None
    one = interrupt(words, tmp_path, delay, number, group=group, environment=new)
    assert (one.early, problems(one, number)) == (False, [])
    results = ("rtl", "run.pt", "run-operands")
    assert [path.name for path in tmp_path.iterdir() if path.name in results] == []


TINY = ("--config", "tiny", "--set", "clusters=1")
LONG = ("--conv", "4,16,40,40,16,3,3", "--density-a", "1", "--density-b", "1")
COMMANDS = (
    ESTIMATE,
    (*ESTIMATE, "--processes", "1"),
    (*ESTIMATE, "--operands", "uniform"),
    TRAIN,
    (*TRAIN, "--backend", "cycle-model", *TINY, "--timeline", "{}.json", "--check"),
    (*TRAIN, "--backend", "rtl", *TINY),
    (*TRAIN, "--backend", "rtl", "--whole-step"),
    (*TRAIN, "--method", "dst", "--tensorboard", "{}-board"),
    ("trace", "--iterations", "800", "--epochs", "1000", "--out", "{}-trace"),
    PUBLISH,
    ("generate", "--config", "large", "--out", "{}-rtl"),
    ("generate", "--axi", "--out", "{}-axi"),
    ("cosim", *TINY, *LONG, "--out", "{}-results"),
    ("cosim", *TINY, *LONG, "--workers", "2", "--out", "{}-results"),
    ("cosim", "--config", "tiny", "--set", "acc_depth={size}", *LONG),
    ("report", "--out", "{}-report", "--cache", "{}-cache"),
    ("demo", "--out", "{}-demo"),
    ("compare", "{results}"),
)
"""`{}` stands for names of each run's own, `{size}` for a configuration that was not built before,
`{results}` for results that were saved before."""


@pytest.mark.slow
@pytest.mark.cosim
def test_random_interruptions_leave_nothing(tmp_path):
    environment = {"GSCN_BUILD_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    rng = random.Random(SEED)
    # Built and saved once, so that simulations are interrupted and not only the compiler.
    ready = interrupt(
        ["cosim", *TINY, "--conv", "1,8,12,12,8,3,3", "--out", "results"],
        tmp_path, 1800, signal.SIGTERM, environment=environment,
    )  # fmt: skip
    assert ready.status == 0, ready.errors
    done, wrong, tries = 0, [], 0
    while done < INTERRUPTIONS:
        tries += 1
        assert tries < 3 * INTERRUPTIONS, "most commands end before they are interrupted"
        words = [
            word.format(f"run{tries}", size=256 << rng.randrange(5), results="results")
            for word in rng.choice(COMMANDS)
        ]
        delay = 0.02 * 1000 ** rng.random()  # most of them short, up to 20 s
        number, group = rng.choice(
            [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, False),
             (signal.SIGTERM, True), (signal.SIGHUP, False)]
        )  # fmt: skip
        one = interrupt(
            words, tmp_path, delay, number,
            group=group, again=rng.random() < 0.2, environment=environment,
        )  # fmt: skip
        if one.early or (one.status == 0 and one.out and number.name not in one.errors):
            # An end of its own, perhaps as the signal came. `report` needs files that an empty
            # folder may not have.
            assert "Traceback" not in one.errors, one.errors
            continue
        done += 1
        wrong += [
            f"{one.words}, {number.name} after {delay:.2f} s, group {group}: {problem}"
            for problem in problems(one, number)
        ]
    assert not wrong, "\n".join(wrong)
