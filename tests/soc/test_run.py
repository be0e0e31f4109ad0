"""The system in simulation: its firmware runs images, and what it says is judged."""

from __future__ import annotations

import pytest

from gscn.errors import InputError, MismatchError
from soc import compiling
from soc.compiling import memory_file
from soc.run import LAST_LINE, RUNS, check_litex, judge, simulate

RESULTS, MEMORY = " results 0x2e8777c8,", " memory 0x0123456789abcdef,"
RIGHT = [f"run {n},{what} PASS" for what in (RESULTS, MEMORY) for n in range(RUNS)]


def test_what_is_right_is_accepted():
    judge("\n".join([*RIGHT, LAST_LINE, ""]), [RESULTS, MEMORY])


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ([], "must end with"),
        ([*RIGHT, "all: FAIL"], "must end with"),
        ([LAST_LINE], "not 0"),
        ([*RIGHT[1:], LAST_LINE], "not 3"),
        ([*RIGHT[1:], RIGHT[0].replace("2e87", "2e88"), LAST_LINE], "not 3"),
        ([*RIGHT[:-1], RIGHT[-1].replace("cdef", "cdee"), LAST_LINE], "not 3"),
    ],
)
def test_what_is_not_is_refused(said, message):
    with pytest.raises(MismatchError, match=message):
        judge("\n".join(said), [RESULTS, MEMORY])


def test_words_are_as_the_simulator_reads_them():
    assert memory_file([0x13, 0xDEADBEEF]) == "00000013\ndeadbeef\n"


def test_a_missing_compiler_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr(compiling, "COMPILER", "riscv64-no-such-gcc")
    with pytest.raises(InputError, match=r"riscv64-no-such-gcc.*apt-get install gcc-riscv64"):
        compiling.check_compiler()


def test_without_litex_its_package_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    with pytest.raises(InputError, match=r"litex.*pip install 'gscn\[soc\]'"):
        check_litex()


@pytest.fixture
def tools():
    """Skip what cannot be built here."""
    pytest.importorskip("litex", reason="LiteX is not installed: pip install 'gscn[soc]'")
    try:
        compiling.check_compiler()
    except InputError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("lists", [False, True], ids=["array", "machine"])
@pytest.mark.usefixtures("tools")
def test_the_firmware_runs_an_image_by_interrupt_and_by_polling_at_two_addresses(lists, tmp_path):
    said, right = simulate(tmp_path, lists=lists)
    assert len(right) == 1 + lists  # a step besides
    judge(said, right)
