"""Description of a generated Verilog module, for tools that do not read Python."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from gscn.array import ArrayConfig
from gscn.axi import AxiAttributes
from gscn.control import CONTROL_RECORD
from gscn.counters import (
    CLUSTER_COUNTERS,
    CLUSTER_EVENTS,
    COUNTER_WIDTH,
    COUNTERS_PER_CLUSTER,
)
from gscn.encode import ENCODE_DESCRIPTOR, ENCODE_STATE
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.passes import PASS_DESCRIPTOR
from gscn.records import Record
from gscn.register import Top
from gscn.rtl_gen.rams import RamModule
from gscn.system.reading import read_object

MANIFEST_FILE = "manifest.json"
_RECORDS = {
    Top.ARRAY: (PASS_DESCRIPTOR,),
    Top.MACHINE: (PASS_DESCRIPTOR, ENCODE_DESCRIPTOR, ENCODE_STATE, CONTROL_RECORD),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """One port of the Verilog module."""

    name: str
    direction: str
    """`input` or `output`."""
    width: int
    """Bits."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What was generated: file, ports, configuration and versions."""

    top: Top
    """What is in it."""
    module: str
    """Name of the top module."""
    verilog: Path
    """Path of the Verilog file."""
    verilog_digest: str
    """SHA-256 of the Verilog file."""
    source_digest: str
    """SHA-256 of everything that the Verilog text depends on; empty if that is not known."""
    config: ArrayConfig
    ports: tuple[Port, ...]
    versions: dict[str, str]
    """Versions of the tools that wrote the file."""
    companions: dict[str, str]
    """SHA-256 of each other file, by its name in the directory of the Verilog."""
    rams: tuple[RamModule, ...] = ()
    """Modules of memories."""
    axi: AxiAttributes | None = None
    """Constants of every burst; None without buses."""

    def to_dict(self) -> dict[str, object]:
        """Return the manifest as plain JSON values, record layouts and counters included."""
        names = COUNTERS_PER_CLUSTER
        return {
            "top": self.top.value,
            "module": self.module,
            "verilog": self.verilog.name,
            "verilog_digest": self.verilog_digest,
            "source_digest": self.source_digest,
            "config": self.config.to_dict(),
            "config_digest": self.config.digest(),
            "axi": None if self.axi is None else self.axi.to_dict(),
            "ports": [asdict(port) for port in self.ports],
            "rams": [asdict(ram) for ram in self.rams],
            "versions": self.versions,
            "companions": self.companions,
            "records": {one.name: _layout(one) for one in _RECORDS[self.top]},
            "counters": {
                "width": COUNTER_WIDTH,
                "cluster": [
                    {
                        "name": counter.name,
                        "meaning": counter.meaning,
                        "indices": [
                            cluster * names + index for cluster in range(self.config.clusters)
                        ],
                    }
                    for index, counter in enumerate((*CLUSTER_COUNTERS, *CLUSTER_EVENTS))
                ],
                "total_cycles": {
                    "meaning": "cycles in which the array is busy",
                    "index": self.config.clusters * names,
                },
                **self._machine_counter(self.config.clusters * names + 1),
            },
        }

    def _machine_counter(self, index: int) -> dict[str, object]:
        """Return the counter that registers add to those of a machine's array."""
        if self.top is not Top.MACHINE or not any(one.name == "interrupt" for one in self.ports):
            return {}
        return {
            "machine_cycles": {"meaning": "cycles in which the machine is busy", "index": index}
        }


def _layout(record: Record) -> dict[str, object]:
    fields = []
    low = 0
    for field in record.fields:
        fields.append(
            {
                "name": field.name,
                "low_bit": low,
                "width": field.width,
                "signed": field.signed,
                "meaning": field.meaning,
            }
        )
        low += field.width
    return {"width": record.width, "fields": fields}


def load_manifest(path: Path) -> Manifest:
    """Read a manifest back.

    Parameters
    ----------
    path
        The `manifest.json` file, or its directory.

    Raises
    ------
    InputError
        The file cannot be read or does not describe a generated module.
    """
    if path.is_dir():
        path = path / MANIFEST_FILE
    try:
        fields = read_object(path, "manifest")
        texts = [fields[name] for name in ("module", "verilog", "verilog_digest", "source_digest")]
        texts += [*fields["companions"].values(), *fields["versions"].values()]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("names, digests and versions are texts")
        return Manifest(
            top=Top(fields["top"]),
            module=fields["module"],
            verilog=path.parent / fields["verilog"],
            verilog_digest=fields["verilog_digest"],
            source_digest=fields["source_digest"],
            config=ArrayConfig.from_dict(fields["config"]),
            ports=tuple(Port(**port) for port in fields["ports"]),
            versions=fields["versions"],
            rams=tuple(RamModule(**ram) for ram in fields["rams"]),
            companions=fields["companions"],
            axi=None if fields["axi"] is None else AxiAttributes(**fields["axi"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"manifest {path} must describe a generated module: {error!r}") from error
