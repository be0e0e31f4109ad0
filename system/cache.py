"""The user's cache folder: private, with digests of what is kept, without leftovers of the dead.

What lies there is executed (simulators) or loaded as objects (compiled functions). So it is never
below the current directory, unless the user says so, and nobody else may be able to write to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from gscn.system.errors import InputError
from gscn.system.files import unfinished, write_text
from gscn.system.reading import read_object

VARIABLE = "GSCN_BUILD_DIR"
"""Environment variable that names another folder."""
SEAL_FILE = "sha256.json"
"""In a sealed folder: digest of each other file by its name."""
OWNER_FILE = ".owner"
"""In a temporary folder: locked as long as the process that made it lives."""
ORPHAN_SECONDS = 24 * 3600
"""Age from which a temporary folder without `OWNER_FILE` is a leftover."""


def cache_folder() -> Path:
    """Return the folder of `VARIABLE`, by default `gscn` in the user's cache folder.

    Raises
    ------
    InputError
        The user has no home directory.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored; here they would lead to the current directory.
    if Path(base).is_absolute():
        return Path(base) / "gscn"
    home = os.path.expanduser("~")  # noqa: PTH111  (Path.home() raises an error of its own)
    if not Path(home).is_absolute():
        raise InputError(f"home directory must be known for a cache, or {VARIABLE} name a folder")
    return Path(home) / ".cache" / "gscn"


def private_folder(path: Path) -> Path:
    """Return a folder that only this user can write to, made with mode 0700 if it is missing.

    Raises
    ------
    InputError
        It cannot be made, belongs to another user, or others may write to it.
    """
    try:
        for folder in (*reversed(path.parents), path):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
        about = path.stat()
    except OSError as error:
        raise InputError(
            f"build directory {path} must be a folder that can be written: {error}; "
            f"{VARIABLE} can name another"
        ) from error
    if about.st_uid != os.geteuid():
        raise InputError(
            f"build directory {path} must belong to this user ({os.geteuid()}), not to "
            f"{about.st_uid}: what lies there is executed; {VARIABLE} can name another"
        )
    if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(
            f"build directory {path} must not be writable by others, not have mode "
            f"{stat.S_IMODE(about.st_mode):04o}: what lies there is executed; "
            f"`chmod go-w` it, or let {VARIABLE} name another"
        )
    return path


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock between processes; the system releases it if the process dies.

    Parameters
    ----------
    path
        File of the lock, made if missing.
    wait
        Whether to wait for it.

    Yields
    ------
    bool
        Whether the lock is held: always, if it was waited for.
    """
    # Open for appending: as for the others here, the content means nothing.
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(folder: Path) -> None:
    """Note the digests of the files of a folder in it."""
    digests = {path.name: file_digest(path) for path in sorted(folder.iterdir()) if path.is_file()}
    digests.pop(SEAL_FILE, None)
    (folder / SEAL_FILE).write_text(json.dumps(digests, indent=2) + "\n")


def is_sealed(folder: Path, *names: str) -> bool:
    """Return whether a folder is as it was when it was sealed, and has the files of these names."""
    try:
        digests = json.loads((folder / SEAL_FILE).read_text())
        return (
            isinstance(digests, dict)
            and digests.keys() >= set(names)
            and all(file_digest(folder / name) == digest for name, digest in digests.items())
        )
    except (OSError, ValueError, RecursionError):
        return False


def kept_result(path: Path) -> object | None:
    """Return the result of a file of `keep_result`; None if there is none or it has changed."""
    try:
        kept = read_object(path, "kept result")
    except InputError:
        return None
    if kept.keys() != {"sha256", "result"}:
        return None
    result = kept["result"]
    return result if _text_digest(json.dumps(result)) == kept["sha256"] else None


def keep_result(path: Path, result: object) -> object:
    """Keep plain JSON values, other than null; return them as `kept_result` will.

    Raises
    ------
    InputError
        The file cannot be written.
    ValueError
        A number is not finite.
    """
    # Through JSON: what is read back is what is returned now.
    result = json.loads(json.dumps(result, allow_nan=False))
    kept = {"sha256": _text_digest(json.dumps(result)), "result": result}
    write_text(path, json.dumps(kept) + "\n")
    return result


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def remove(path: Path) -> None:
    """Remove a file or a folder, if there is one; what cannot be removed stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@contextlib.contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Yield a new folder that is removed at the end, or by `remove_leftovers` if there is no end.

    Parameters
    ----------
    prefix
        Of its name.
    parent
        Folder that it is in; by default that of temporary files.
    """
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    with unfinished(path), (path / f"{OWNER_FILE}.new").open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        # Nobody else sees the file of the lock before it is locked.
        Path(owner.name).rename(path / OWNER_FILE)
        yield path


def remove_leftovers(parent: Path, *prefixes: str) -> None:
    """Remove folders of `temporary_folder` whose processes have died.

    Parameters
    ----------
    parent
        Folder that they are in.
    prefixes
        Of their names.
    """
    for prefix in prefixes:
        for path in parent.glob(f"{prefix}*"):
            with contextlib.suppress(OSError):  # it is gone, or not for us to remove
                if _is_leftover(path):
                    shutil.rmtree(path, ignore_errors=True)


def _is_leftover(path: Path) -> bool:
    about = path.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        return False
    try:
        with (path / OWNER_FILE).open("r") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:  # its process died in between, or has yet to come to that
        return time.time() - about.st_mtime > ORPHAN_SECONDS
    return True
