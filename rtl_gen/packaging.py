"""Files that help to use the generated Verilog: a FuseSoC core file and an example instance."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

from gscn.port import port_names

if TYPE_CHECKING:
    from gscn.rtl_gen.manifest import Manifest, Port

CORE_FILE = "gscn_top.core"
EXAMPLE_FILE = "gscn_top_example.v"
EXAMPLE_MODULE = "gscn_top_example"
CORE_NAME = "gscn:gscn:gscn_top:0.1.0"
"""Vendor, library, name and version of the core."""

_CORE = Template("""\
CAPI=2:
# FuseSoC core description of the generated array, configuration $digest.

name: $core_name
description: Accelerator for the convolutions of sparse CNN training, $multipliers multipliers

filesets:
  rtl:
    files:
      - $verilog
    file_type: verilogSource
  example:
    files:
      - $example
    file_type: verilogSource

targets:
  default: &default
    filesets: [rtl]
    toplevel: $module
  lint:
    <<: *default
    filesets: [rtl, example]
    toplevel: $example_module
    default_tool: verilator
    tools:
      verilator:
        mode: lint-only
""")

_EXAMPLE = Template("""\
// Example: an instance of $module, configuration $digest.
//
// Vectors of several fields are split into wires. To be copied and connected to a memory and to
// whatever starts the array; docs/contract/integration.md has the rules of the ports.

module $example_module (
$ports
);

$wires

  $module accelerator (
$connections
  );

endmodule
""")


def fields_of(port: Port, manifest: Manifest) -> list[tuple[str, int]]:
    """Return (name, bits) of each field of a port, lowest first; one if it has no fields.

    Parameters
    ----------
    port
        Port of the module.
    manifest
        What was generated.
    """
    config = manifest.config
    burst = [("addr", config.addr_width), ("beats", 8)]
    layouts = {
        "start_list__payload": [("addr", config.addr_width), ("count", 32)],
    }
    for name in port_names("mem", config.ports):
        layouts |= {
            f"{name}_read_cmd__payload": burst,
            f"{name}_write_cmd__payload": burst,
            f"{name}_write_data__payload": [
                ("data", config.mem_width),
                ("strobe", config.mem_bytes),
            ],
        }
    stem = port.name.removesuffix("__payload")
    return [(f"{stem}_{field}", width) for field, width in layouts.get(port.name, [])] or [
        (port.name.replace("__payload", "_data").replace("__", "_"), port.width)
    ]


def core_text(manifest: Manifest) -> str:
    """Return the FuseSoC core file (CAPI2) of the generated module.

    Parameters
    ----------
    manifest
        What was generated.
    """
    return _CORE.substitute(
        core_name=CORE_NAME,
        digest=manifest.config.digest(),
        multipliers=manifest.config.multipliers,
        verilog=manifest.verilog.name,
        module=manifest.module,
        example=EXAMPLE_FILE,
        example_module=EXAMPLE_MODULE,
    )


def _vector(width: int) -> str:
    return "" if width == 1 else f"[{width - 1}:0] "


def example_text(manifest: Manifest) -> str:
    """Return Verilog that instantiates the generated module, its ports split into fields.

    Parameters
    ----------
    manifest
        What was generated.
    """
    ports, wires, connections = [], [], []
    for port in manifest.ports:
        fields = fields_of(port, manifest)
        ports += [f"    {port.direction} wire {_vector(width)}{name}" for name, width in fields]
        if len(fields) == 1:
            connections.append(f"      .{port.name}({fields[0][0]})")
            continue
        packed = port.name.replace("__", "_")
        concatenation = f"{{{', '.join(name for name, _ in reversed(fields))}}}"
        if port.direction == "input":
            wires.append(f"  wire {_vector(port.width)}{packed} = {concatenation};")
        else:
            wires.append(f"  wire {_vector(port.width)}{packed};")
            wires.append(f"  assign {concatenation} = {packed};")
        connections.append(f"      .{port.name}({packed})")
    return _EXAMPLE.substitute(
        module=manifest.module,
        example_module=EXAMPLE_MODULE,
        digest=manifest.config.digest(),
        ports=",\n".join(ports),
        wires="\n".join(wires),
        connections=",\n".join(connections),
    )


def port_table(manifest: Manifest) -> str:
    """Return the ports of the generated module as a Markdown table.

    Parameters
    ----------
    manifest
        What was generated.
    """
    rows = ["| port | direction | bits | fields, lowest first |", "|---|---|---|---|"]
    for port in manifest.ports:
        fields = fields_of(port, manifest)
        stem = port.name.removesuffix("__payload")
        listed = ", ".join(f"{name.removeprefix(f'{stem}_')} ({width})" for name, width in fields)
        text = listed if len(fields) > 1 else ""
        rows.append(f"| `{port.name}` | {port.direction} | {port.width} | {text} |")
    return "\n".join(rows)
