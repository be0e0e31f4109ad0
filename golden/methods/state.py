"""State of a sparsifier: in `state_dict`, but left alone by casts, copies to devices, and DDP."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor, nn


class CarriedState(nn.Module):
    """A module whose state is saved and loaded as tensors that are no buffers.

    Buffers would be rounded by `module.bfloat16()`, and replaced in every forward pass by those of
    the first process under `DistributedDataParallel`, whose processes have mini-batches, and hence
    thresholds and gradients, of their own.
    """

    def export_state(self) -> dict[str, Tensor]:
        """Return the state by name."""
        raise NotImplementedError

    def accepts(self, name: str) -> bool:  # noqa: ARG002
        """Whether a name that `export_state` does not have now may be in a saved state."""
        return False

    def import_state(self, state: dict[str, Tensor]) -> None:
        """Take over a state that `export_state` returned."""
        raise NotImplementedError

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name, value in self.export_state().items():
            destination[prefix + name] = value

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        unexpected: list[str] = []
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected, error_msgs
        )
        wanted = {prefix + name: name for name in self.export_state() if not self.accepts(name)}
        unexpected_keys += [
            key
            for key in unexpected
            if key not in wanted and not self.accepts(key.removeprefix(prefix))
        ]
        missing = [key for key in wanted if key not in state_dict]
        wanted |= {
            key: name
            for key in state_dict
            if key.startswith(prefix) and self.accepts(name := key.removeprefix(prefix))
        }
        if missing:
            missing_keys += missing if strict else []
            return
        self.import_state({name: state_dict[key].clone() for key, name in wanted.items()})


def is_numbered(name: str, stem: str) -> bool:
    """Whether a name is that of a call after the first of its iteration: the stem and a number."""
    return re.fullmatch(rf"{stem}_[1-9][0-9]*", name) is not None


def numbered(state: dict[str, Tensor], stem: str) -> dict[int, Tensor]:
    """Return what a state has for the calls after the first of an iteration, by their index."""
    return {
        int(name.rpartition("_")[2]): value
        for name, value in state.items()
        if is_numbered(name, stem)
    }
