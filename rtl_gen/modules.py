"""Modules in Verilog as Amaranth writes it."""

from __future__ import annotations

import re

MODULE = re.compile(r"^module (?P<name>\\\S+|\w+) ?\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)
"""A module; its name is with the backslash of one that is no plain word."""
