"""What has a `close` is a context manager that calls it."""

from __future__ import annotations

from typing import Self


class Closing:
    """A context manager that is itself in a `with`, and is closed at its end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what this holds."""
        raise NotImplementedError
