"""A list of int8 inference, from an image to results, equals whole numbers of torch and numpy."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.array import array
from gscn.cosim.lists import ListSimulator
from gscn.emulator.lists import run_list
from gscn.encode import EncodeError
from tests.integer_inference import inference
from tests.step_machines import simulator_of

CONFIG = array("tiny").with_overrides(["operand_format=int8", "acc_width=32"])


class NoHost:
    """The host of a list without stops."""

    def begin(self, number):
        """There is one list."""
        assert number == 0

    def __call__(self, number, memory):
        """No stop is expected."""
        raise AssertionError(number)


def test_two_layers_of_integers_are_what_whole_numbers_give():
    listed = inference(CONFIG, 1)
    found = run_list(CONFIG, listed.memory, listed.begin, listed.end)
    assert found.error == EncodeError.NONE
    assert np.array_equal(listed.read(found.memory), listed.wanted)
    assert np.unique(listed.wanted).size > 30


@pytest.mark.slow
@pytest.mark.cosim
def test_two_layers_of_integers_run_on_the_verilog_from_image_to_result():
    listed = inference(CONFIG, 0)
    with ListSimulator(CONFIG, listed.memory, simulator=simulator_of(CONFIG)) as machine:
        run, _ = machine.run(listed.begin, listed.end, NoHost())
        memory, _ = machine.memory()
    assert run.error == EncodeError.NONE
    assert np.array_equal(listed.read(memory), listed.wanted)
