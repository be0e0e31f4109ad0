"""Options that several subcommands have."""

from __future__ import annotations

import argparse

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
