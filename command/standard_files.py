"""Standard output for results, standard error for messages: closed, full, or without a reader."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


def open_standard_files() -> None:
    """See to it that no file which is opened later becomes a standard one that was closed.

    Messages to a closed standard error are lost, as was asked for.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Takes the lowest number that is free.
            os.open(os.devnull, os.O_RDWR)
            if descriptor == 2:
                sys.stderr = os.fdopen(descriptor, "w", closefd=False)


def say(sentence: str, end: str = "\n") -> None:
    """Write a message to standard error, if anybody is there to read it."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{sentence}{end}")
    flush_or_drop(sys.stderr)


def print_result(text: str) -> bool:
    """Write the result to standard output; return False, with a sentence, if that cannot be."""
    try:
        if text:
            sys.stdout.write(text.rstrip("\n") + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (say, `head`) has seen enough.
        flush_or_drop(sys.stdout)
    except OSError as error:
        flush_or_drop(sys.stdout)
        say(f"gscn: standard output must take the result: {error.strerror}")
        return False
    return True


def flush_or_drop(stream: TextIO) -> None:
    """Write a stream through, or drop what it holds, so that the interpreter's last flush works."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
