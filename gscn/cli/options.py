"""Options that several subcommands have."""

from __future__ import annotations

import argparse
from pathlib import Path

from gscn.config import PRESETS


def add_preset_arguments(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, *, default: str
) -> None:
    """Declare `--config`, one of the presets, and `--set`, what differs from it."""
    parser.add_argument(
        "--config",
        default=default,
        metavar="NAME",
        help=f"configuration: {', '.join(PRESETS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="override a field of the configuration; may be repeated",
    )


def add_build_argument(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Declare `--build-dir`, where simulators are kept."""
    parser.add_argument(
        "--build-dir",
        type=Path,
        metavar="DIR",
        help="keep simulators here; what lies there is executed, so that others must not be able "
        "to write to it (default: $GSCN_BUILD_DIR, else gscn in the user's cache folder)",
    )
