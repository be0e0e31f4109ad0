"""Errors that a user can cause and mend."""


class InputError(ValueError):
    """Bad input: the message names the thing, the requirement and the value received.

    The command line prints the message and exits with status 2.
    """


class OutputError(InputError):
    """A file that the user asked for cannot be written."""


class MismatchError(Exception):
    """A result differs from its oracle, or the simulation failed; the command exits with 1."""


def raise_problems(subject: str, problems: list[str]) -> None:
    """Raise one `InputError` that lists every problem found, or return if there is none."""
    if problems:
        raise InputError(f"{subject}: " + "; ".join(problems))
