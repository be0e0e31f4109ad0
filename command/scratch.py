"""A folder for the temporary files of one command: of its libraries, compilers and simulators too.

Whatever they leave when they are killed is removed with it. A command that is itself killed leaves
its folder to the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from gscn.system.files import temporary_beside

PREFIX = "gscn-command-"
LOCK = "lock"
"""File in the folder that its command holds a lock on, which ends with the process."""
_STARTING_SECONDS = 60.0
"""Age below which a folder without a lock may be one that is being made."""


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path | None]:
    """Make a folder the place of temporary files, of this process and those that it starts.

    Where no file can be made, as on a full disk, the commands that need one say so: then this
    yields None.
    """
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    with contextlib.ExitStack() as stack:
        place = None
        with contextlib.suppress(OSError):
            root = Path(tempfile.gettempdir())
            _remove_left(root)
            name = f"{PREFIX}{os.getpid()}-{os.urandom(8).hex()}"
            made = stack.enter_context(temporary_beside(root / name, name))
            made.mkdir(mode=0o700)
            file = stack.enter_context((made / LOCK).open("w"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            tempfile.tempdir = os.environ["TMPDIR"] = str(made)
            place = made
        try:
            yield place
        finally:
            tempfile.tempdir = before[0]
            if before[1] is None:
                os.environ.pop("TMPDIR", None)
            else:
                os.environ["TMPDIR"] = before[1]


def _remove_left(root: Path) -> None:
    """Remove the folders of commands that were killed."""
    for place in root.glob(f"{PREFIX}*"):
        # Another user's, or one that is gone by now.
        with contextlib.suppress(OSError):
            found = place.lstat()
            if found.st_uid != os.geteuid() or place.is_symlink():
                continue
            try:
                with (place / LOCK).open("r+") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except FileNotFoundError:
                if time.time() - found.st_mtime < _STARTING_SECONDS:
                    continue
            shutil.rmtree(place, ignore_errors=True)
