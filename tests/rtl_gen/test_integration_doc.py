"""The tables of `docs/contract/integration.md` are those of the generator."""

import pytest

from gscn.array import ARRAYS
from gscn.counters import CLUSTER_COUNTERS, CLUSTER_EVENTS, COUNTER_WIDTH, COUNTERS_PER_CLUSTER
from gscn.hw.core.array import Array
from gscn.rtl_gen import generate
from gscn.rtl_gen.packaging import port_table


@pytest.fixture
def text(repository):
    return (repository / "docs" / "contract" / "integration.md").read_text()


def between(text, name):
    return text.split(f"<!-- {name}:begin -->\n")[1].split(f"\n<!-- {name}:end -->")[0]


def test_ports_are_those_of_the_generated_module(text, tmp_path):
    assert between(text, "ports") == port_table(generate(ARRAYS["small"], tmp_path))


def test_counters_are_those_of_the_list(text):
    counters = (*CLUSTER_COUNTERS, *CLUSTER_EVENTS)
    rows = [f"| {i} | `{c.name}` | {c.meaning} |" for i, c in enumerate(counters)]
    assert between(text, "counters").splitlines()[2:] == rows
    sentences = " ".join(text.split())
    assert f"`counter_data` {Array.COUNTER_LATENCY} cycles later" in sentences
    assert f"cluster x {COUNTERS_PER_CLUSTER} + position" in sentences
    assert f"Those of positions 0 to {len(CLUSTER_COUNTERS) - 1} count PE-cycles" in sentences
    assert f"Counters have {COUNTER_WIDTH} bits" in sentences
