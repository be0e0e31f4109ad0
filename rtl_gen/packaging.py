"""Files that help to use the generated Verilog: cores of tools, example, constraints."""

from __future__ import annotations

from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from gscn.port import port_names
from gscn.register import Top
from gscn.rtl_gen.ip_xact import ip_xact, xact_file
from gscn.rtl_gen.rams import SUBARRAYS_FILE, subarrays_text
from gscn.rtl_gen.secded import SECDED_FILE, secded_text
from gscn.rtl_gen.testbench import bench_module, testbench_text
from gscn.version import VERSION

if TYPE_CHECKING:
    from gscn.rtl_gen.manifest import Manifest, Port

LINT_FILE = "gscn_lint.vlt"
"""Name of Verilator's waivers, beside the Verilog."""
_WAIVERS = "lint.vlt"
MACHINE_LINT = ("-fno-dfg-peephole",)
"""Verilator's options for machines: with their buffers that pass, which lint does not need, takes
minutes."""
_CORE = Template("""\
CAPI=2:
# FuseSoC core description of $module, configuration $digest.

name: $core_name
description: Accelerator for sparse CNN training ($top), $multipliers multipliers

filesets:
  rtl:
    files:
      - $verilog
    file_type: verilogSource
  constraints:
    files:
      - $constraints
    file_type: SDC
  example:
    files:
      - $example
    file_type: verilogSource
  waivers:
    files:
      - $waivers
    file_type: vlt
$bench_files
targets:
  default: &default
    filesets: [rtl]
    toplevel: $module
  lint:
    <<: *default
    description: All of Verilator's warnings but those waived, with reasons, in $waivers
    filesets: [waivers, rtl, example]
    toplevel: $example_module
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [$lint_options]
  synth:
    <<: *default
    description: Cells of an FPGA
    filesets: [rtl, constraints]
    flow: generic
    flow_options:
      tool: yosys
      arch: ecp5
      output_format: json
$bench_target""")

_BENCH_FILES = Template("""\
  testbench:
    files:
      - $bench.v
    file_type: verilogSource
""")
_BENCH_TARGET = Template("""\
  sim:
    <<: *default
    description: Runs an image of `gscn image`, whose folder is the parameter image
    filesets: [waivers, rtl, testbench]
    toplevel: $bench
    flow: sim
    flow_options:
      tool: verilator
      mode: binary
      verilator_options: [--timing, -CFLAGS, -std=c++20]
    parameters: [image]

parameters:
  image:
    description: Folder of the image, from the root of the file system on
    datatype: str
    paramtype: plusarg
""")

_CONSTRAINTS = Template("""\
# Timing constraints of $module. Everything is of one clock; no path is false or of several cycles,
# the synchronous reset included.
#
# Set before it is read: gscn_period_ns, the clock's period; and gscn_outside_ns if the system's
# logic between its registers and these ports takes another part of the period than half of it.

if {![info exists gscn_period_ns]} {
  error "$module.sdc: gscn_period_ns must be set, the period of the clock in ns"
}
if {![info exists gscn_outside_ns]} {
  set gscn_outside_ns [expr {$$gscn_period_ns / 2.0}]
}
create_clock -name gscn_clk -period $$gscn_period_ns [get_ports clk]
set_input_delay -clock gscn_clk $$gscn_outside_ns [get_ports {$inputs}]
set_output_delay -clock gscn_clk $$gscn_outside_ns [get_ports {$outputs}]
""")

_EXAMPLE = Template("""\
// Example: an instance of $module, configuration $digest.
//
// $advice
// docs/contract/integration.md has the rules of the ports.

module $example_module (
$ports
);

$wires  $module accelerator (
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


def core_file(module: str) -> str:
    """Return the name of a module's FuseSoC core file."""
    return f"{module}.core"


def example_module(module: str) -> str:
    """Return the name of the module that has an instance of a module."""
    return f"{module}_example"


def core_name(manifest: Manifest) -> str:
    """Return vendor, library, name and version of the core.

    Parameters
    ----------
    manifest
        What was generated.
    """
    return f"gscn:gscn:{manifest.module}:{VERSION}"


def companions(manifest: Manifest) -> dict[str, str]:
    """Return the files of the generated module that tools ask for, by name.

    Parameters
    ----------
    manifest
        What was generated.
    """
    module, digest = manifest.module, manifest.config.digest()
    bench = {f"{bench_module(module)}.v": testbench_text(manifest)} if manifest.axi else {}
    return {
        **bench,
        core_file(module): core_text(manifest),
        xact_file(module): ip_xact(manifest),
        f"{example_module(module)}.v": example_text(manifest),
        f"{module}.sdc": constraints_text(manifest),
        SUBARRAYS_FILE: subarrays_text(module, digest, manifest.rams),
        SECDED_FILE: secded_text(module, digest, manifest.rams),
        LINT_FILE: resources.files("gscn.rtl_gen").joinpath(_WAIVERS).read_text(encoding="utf-8"),
    }


def core_text(manifest: Manifest) -> str:
    """Return the FuseSoC core file (CAPI2) of the generated module.

    Parameters
    ----------
    manifest
        What was generated.
    """
    bench = {"bench": bench_module(manifest.module)}
    return _CORE.substitute(
        bench_files=_BENCH_FILES.substitute(bench) if manifest.axi else "",
        bench_target=_BENCH_TARGET.substitute(bench) if manifest.axi else "",
        core_name=core_name(manifest),
        digest=manifest.config.digest(),
        top=manifest.top,
        multipliers=manifest.config.multipliers,
        verilog=manifest.verilog.name,
        module=manifest.module,
        constraints=f"{manifest.module}.sdc",
        example=f"{example_module(manifest.module)}.v",
        example_module=example_module(manifest.module),
        waivers=LINT_FILE,
        lint_options=", ".join(("-Wall", *(MACHINE_LINT if manifest.top is Top.MACHINE else ()))),
    )


def constraints_text(manifest: Manifest) -> str:
    """Return timing constraints (SDC, for tools that read Tcl) of the generated module.

    Parameters
    ----------
    manifest
        What was generated.
    """
    names: dict[str, list[str]] = {"input": [], "output": []}
    for port in manifest.ports:
        if port.name != "clk":
            names[port.direction].append(port.name + "[*]" * (port.width > 1))
    return _CONSTRAINTS.substitute(
        module=manifest.module, inputs=" ".join(names["input"]), outputs=" ".join(names["output"])
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
        example_module=example_module(manifest.module),
        digest=manifest.config.digest(),
        advice=(
            "Vectors of several fields are split into wires. To be copied and connected to memory."
            if wires
            else "To be copied and connected to an interconnect; the ports of a bus stand together."
        ),
        ports=",\n".join(ports),
        wires="".join(f"{wire}\n" for wire in wires) + "\n" * bool(wires),
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
