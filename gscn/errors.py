"""Errors that a user can cause and mend, under the name by which they are caught."""

from gscn.system.errors import InputError, MismatchError, OutputError, raise_problems

__all__ = ["InputError", "MismatchError", "OutputError", "raise_problems"]
