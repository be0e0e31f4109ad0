"""The library of cells: found or named, and what drives and loads the logic."""

from __future__ import annotations

import pytest

from gscn.errors import InputError
from gscn.rtl_gen.liberty import CONSTRAINTS, check_liberty, write_constraints


def test_missing_liberty_names_what_to_install(tmp_path):
    with pytest.raises(InputError, match=r"none\.lib: install Debian's qflow-tech-osu018"):
        check_liberty(tmp_path / "none.lib")


def test_a_driving_cell_is_named_where_the_library_has_it(tmp_path):
    library = tmp_path / "some.lib"
    library.write_text('cell ("BUFX4") { }')
    write_constraints(library, tmp_path)
    assert (tmp_path / CONSTRAINTS).read_text() == "set_driving_cell BUFX4\nset_load 0.05\n"
    library.write_text("cell(BUFX40) { }")
    write_constraints(library, tmp_path)
    assert (tmp_path / CONSTRAINTS).read_text() == "set_load 0.05\n"
