"""Numbers on the command line: out of range, no numbers, or far too long, they end with 2."""

from __future__ import annotations

import argparse

import pytest

from gscn.command.main import main
from gscn.command.numbers import real, whole

CONV = ["cosim", "--conv", "1,1,4,4,1,3,3"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([*CONV, "--latency", "1" + "0" * 20], "at most 100000, not '1000"),
        ([*CONV, "--workers", "0"], "at least 1, not '0'"),
        ([*CONV, "--workers", "1000000"], "at most 1024"),
        ([*CONV, "--seed", "9" * 5000], "a whole number from"),
        ([*CONV, "--stalls", "nan"], "a finite number, not 'nan'"),
        ([*CONV, "--density-a", "inf"], "a finite number, not 'inf'"),
        (["cosim", "--conv", "99999999999,1,1,1,1,1,1"], "--conv must be N,C,H,W,K,R,S"),
        (["cosim", "--conv", f"{'9' * 5000},1,1,1,1,1,1"], "--conv must be N,C,H,W,K,R,S"),
        (["cosim", "--conv", "64,1024,1024,1024,1,1,1"], "at most 67108864 inputs, weights and"),
        ([*CONV, "--padding", "1000000"], "at most 67108864 inputs, weights and outputs"),
        (["train", "--devices", "0", "--backend", "rtl"], "at least 1, not '0'"),
        (["train", "--seed", str(1 << 40)], "at most 68719476735"),
        (["train", "--epochs", "1.5"], "a whole number from"),
        (["train", "--width", "100000"], "width must be at most 65536, not 100000"),
        (["train", "--learning-rate", "nan"], "a finite number"),
        (["estimate", "--clock-mhz", "inf"], "a finite number"),
        (["estimate", "--batch", "1" + "0" * 12], "at most 1048576"),
        (["estimate", "--model", "/dev/zero"], "must be a regular file, not a device"),
        (["estimate", "--model", "x" * 5000], "must be one of"),
        (["estimate", "--trace", "x" * 5000], "trace must be a directory"),
        (["compare", "x" * 5000], "File name too long"),
        (["trace", "--out", "new", "--checkpoint", "x" * 5000], "must be an existing file"),
        (["compare", "/dev/zero"], "must be a regular file, not a device"),
        ([*CONV, "--scheduler", "tls://127.0.0.1:1"], "certificates are needed for tls"),
        ([*CONV, "--scheduler", "nowhere"], "it must be tcp://HOST:PORT or tls://HOST:PORT"),
    ],
)
def test_numbers_and_names_that_nothing_can_hold_end_with_status_2(words, complaint, capsys):
    try:
        status = main(words)
    except SystemExit as error:
        status = error.code
    assert status == 2
    assert complaint in capsys.readouterr().err.replace("\n", " ")


def test_numbers_in_range_are_read():
    assert (whole(1, 5)("5"), whole()("-7"), real("-1e3")) == (5, -7, -1000.0)
    for text in ("", "0x5", "6", "0", "1e0"):
        with pytest.raises(argparse.ArgumentTypeError, match="must be"):
            whole(1, 5)(text)


def test_a_network_file_may_have_any_name(tmp_path, capsys):
    path = tmp_path / "layers.txt"
    path.write_text('[{"name": "a", "c": 8, "h": 9, "w": 9, "k": 8, "r": 3, "s": 3}]')
    assert main(["estimate", "--mode", "analytic", "--model", str(path)]) == 0
    assert "8x8x3x3" in capsys.readouterr().out
