"""Files written so that a reader sees the old content or all of the new, and tried beforehand."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from gscn.system.errors import OutputError

_TRIAL_BYTES = 4096
"""Written on trial: a full disk may still take an empty file."""
_PREFIX = ".gscn-"
_unfinished: set[Path] = set()
"""Temporary files and folders of this process, each noted before it is made."""


@contextlib.contextmanager
def temporary_beside(path: Path, name: str | None = None) -> Iterator[Path]:
    """Yield a name beside `path` for a file or folder; what is there at the end is removed.

    Parameters
    ----------
    path
        What the file or folder is to replace.
    name
        Another name than a new one, for what a killed process leaves to be found by the next.
    """
    # Short whatever the name of `path`, which may be as long as names can be.
    place = path.with_name(name or f"{_PREFIX}{os.getpid()}-{os.urandom(8).hex()}.tmp")
    with unfinished(place):
        yield place


@contextlib.contextmanager
def unfinished(place: Path) -> Iterator[None]:
    """Remove a file or folder at the end, which may be that of the process."""
    _unfinished.add(place)
    try:
        yield
    finally:
        _remove(place)


def remove_unfinished() -> None:
    """Remove what writes that were broken off anywhere have left; for the end of a process."""
    for place in tuple(_unfinished):
        _remove(place)


def _remove(place: Path) -> None:
    """Remove a file or folder; it stays noted if that fails, as while others write into it."""
    with contextlib.suppress(OSError):
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)
        if not os.path.lexists(place):
            _unfinished.discard(place)


@contextlib.contextmanager
def output_errors(kind: str, path: Path | None) -> Iterator[None]:
    """Turn what the system says in this context into `OutputError`; `kind` as in "a file"."""
    try:
        yield
    except OSError as error:
        # Without the file that the system names: it may be a temporary one.
        reason = error.strerror or str(error)
        raise OutputError(f"{path} must be {kind} that can be written: {reason}") from error


@contextlib.contextmanager
def writing(path: Path, temporary_name: str | None = None) -> Iterator[BinaryIO]:
    """Yield a file whose content takes the place of `path` at the end, in one step.

    Its folder is made if need be. If anything fails, `path` and its folders are as before. Pipes,
    devices and what this process writes to already are written to as they are.

    Parameters
    ----------
    path
        File to be replaced, or made.
    temporary_name
        As `name` of `temporary_beside`.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    path = Path(path)
    with output_errors("a file", path):
        descriptor = _open_special(path)
        if descriptor is not None:
            with os.fdopen(descriptor, "wb") as file:
                yield file
            return
        target = Path(os.path.realpath(path))
        with _folder_of(target), temporary_beside(target, temporary_name) as temporary:
            with temporary.open("wb") as file:
                yield file
            temporary.replace(target)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`, to be renamed to it; otherwise it is removed at the end.

    Raises
    ------
    OutputError
        It cannot be made.
    """
    with contextlib.ExitStack() as stack:
        with output_errors("a folder", path):
            stack.enter_context(_folder_of(path))
            place = stack.enter_context(temporary_beside(path))
            place.mkdir()
        yield place


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name for a file that others write, which takes the place of `path` at the end.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    with (
        output_errors("a file", path),
        _folder_of(path),
        temporary_beside(path) as temporary,
    ):
        yield temporary
        temporary.replace(path)


def write_text(path: Path, text: str) -> None:
    """Replace a file, whose folder is made if need be.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    with writing(path) as file:
        file.write(text.encode())


def write_files(contents: Mapping[Path, str | bytes]) -> None:
    """Replace several files: all of them, or none if one fails.

    Files that have the content already are left alone, with their times. The others are replaced
    in the order given, each in one step.

    Raises
    ------
    OutputError
        One cannot be written; all are as before.
    """
    with contextlib.ExitStack() as stack:
        written = []
        for path, content in contents.items():
            stack.enter_context(output_errors("a file", path))
            data = content.encode() if isinstance(content, str) else content
            target = Path(os.path.realpath(path))
            if target.is_file() and target.read_bytes() == data:
                continue
            descriptor = _open_special(path)
            if descriptor is not None:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                continue
            stack.enter_context(_folder_of(target))
            temporary = stack.enter_context(temporary_beside(target))
            before = stack.enter_context(temporary_beside(target))
            with temporary.open("xb") as file:
                file.write(data)
            written.append((temporary, target, before))
        with contextlib.ExitStack() as undo:
            for temporary, target, before in written:
                if target.exists():
                    _keep(target, before)
                undo.callback(_put_back, before, target)
                temporary.replace(target)
            undo.pop_all()


def _keep(target: Path, before: Path) -> None:
    """Give a file a second name, or copy it where files cannot have two."""
    try:
        os.link(target, before)
    except OSError:
        shutil.copy2(target, before)


def _put_back(before: Path, target: Path) -> None:
    if before.exists():
        before.replace(target)
    else:
        target.unlink(missing_ok=True)


@contextlib.contextmanager
def _folder_of(path: Path) -> Iterator[None]:
    """Make the folders that lack above a file; remove them again if something fails."""
    lacking = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in lacking:
            with contextlib.suppress(OSError):  # others may have put something there
                folder.rmdir()
        raise


def _open_special(path: Path) -> int | None:
    """Return a descriptor of what is no file to be replaced, None if it is one or is not there."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    for descriptor in (1, 2):
        # Replaced, it would lose what this process has written to it, and what it will write.
        with contextlib.suppress(OSError):
            if os.path.samestat(found, os.fstat(descriptor)):
                return os.dup(descriptor)
    if stat.S_ISREG(found.st_mode):
        return None
    return os.open(path, os.O_WRONLY)  # refuses a folder


def try_file(path: Path) -> None:
    """Find out whether a file can be written, without a trace of the trial.

    Raises
    ------
    OutputError
        It cannot be.
    """
    path = Path(path)
    with output_errors("a file", path):
        try:
            found = path.stat()
        except FileNotFoundError:
            found = None
        if found is not None and stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if found is not None and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        # To open a pipe or a device could wait, or have an effect.
        if found is None or stat.S_ISREG(found.st_mode):
            _try_folder(Path(os.path.realpath(path)).parent, path.name)


def try_folder(path: Path) -> None:
    """Find out whether files can be written in a folder, which may have to be made.

    Raises
    ------
    OutputError
        They cannot be.
    """
    with output_errors("a folder", path):
        _try_folder(Path(os.path.realpath(path)))


def _try_folder(folder: Path, *names: str) -> None:
    """Write something in a folder, or in the nearest above it that there is, and remove it."""
    # Raises for names that are too long even if folders lack above them.
    there = next(above for above in (folder, *folder.parents) if _is_there(above))
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    longest = os.pathconf(there, "PC_NAME_MAX")
    for name in (*folder.relative_to(there).parts, *names):
        if len(os.fsencode(name)) > longest:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    with temporary_beside(there / "trial") as trial, trial.open("xb") as file:
        file.write(bytes(_TRIAL_BYTES))


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False
    return True
