"""Options that several subcommands have, and those that name what they write."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path

from gscn.array import ARRAYS
from gscn.errors import InputError
from gscn.system.files import try_file, try_folder


def add_preset_arguments(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, *, default: str
) -> None:
    """Declare `--config`, one of the presets, and `--set`, what differs from it."""
    parser.add_argument(
        "--config",
        default=default,
        metavar="NAME",
        help=f"configuration: {', '.join(ARRAYS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="override a field of the configuration; may be repeated",
    )


Container = argparse.ArgumentParser | argparse._ArgumentGroup
_Path = Callable[[argparse.Namespace], Path | None]


def add_output_file(container: Container, option: str, **how: object) -> None:
    """Declare an option that names a file to be written; see `try_outputs`."""
    _add_output(container, option, try_file, metavar="FILE", **how)


def add_output_folder(container: Container, option: str, **how: object) -> None:
    """Declare an option that names a folder to be written to; see `try_outputs`."""
    _add_output(container, option, try_folder, metavar="DIR", **how)


def _add_output(
    container: Container, option: str, attempt: Callable[[Path], None], **how: object
) -> None:
    action = container.add_argument(option, type=Path, **how)
    declare_output(container, option, lambda args: getattr(args, action.dest), attempt)


def declare_output(
    container: Container,
    option: str,
    path: _Path,
    attempt: Callable[[Path], None] = try_file,
) -> None:
    """Declare that an option of another form names what is written.

    Parameters
    ----------
    container
        Parser or group that has the option.
    option
        Its name.
    path
        Returns the path from the parsed arguments, None if the option is not given.
    attempt
        Raises `InputError` if it cannot be written.
    """
    outputs = container.get_default("outputs") or ()
    container.set_defaults(outputs=(*outputs, (option, path, attempt)))


def try_outputs(args: argparse.Namespace) -> None:
    """Find out before a run whether all that it is to write can be written.

    Raises
    ------
    InputError
        Naming every option whose file or folder cannot, and options that name the same.
    """
    problems = []
    places: list[tuple[str, Path, bool]] = []
    for option, path_of, attempt in args.outputs:
        path = path_of(args)
        if path is None:
            continue
        try:
            attempt(path)
        except InputError as error:
            problems.append(f"{option} {error}")
            continue
        # Devices may be given twice.
        if path.is_file() or path.is_dir() or not path.exists():
            places.append((option, path.resolve(), attempt is try_file))
    for (option, place, _), (other, there, is_file) in itertools.permutations(places, 2):
        if is_file and there in (place, *place.parents):
            problems.append(f"{option} must be elsewhere than the file of {other}, not {place}")
    if problems:
        raise InputError("; ".join(problems))


def add_build_argument(parser: Container) -> None:
    """Declare `--build-dir`, where simulators are kept."""
    parser.add_argument(
        "--build-dir",
        type=Path,
        metavar="DIR",
        help="keep simulators here; what lies there is executed, so that others must not be able "
        "to write to it (default: $GSCN_BUILD_DIR, else gscn in the user's cache folder)",
    )
