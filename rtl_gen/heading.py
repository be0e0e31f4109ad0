"""What stands at the head of a generated Verilog file: what it is, of which version and sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscn.register import Top
from gscn.registers import version_text
from gscn.rtl_gen.interfaces import by_interface
from gscn.version import VERSION

if TYPE_CHECKING:
    from gscn.rtl_gen.manifest import Manifest

_WHAT = {
    Top.ARRAY: "array for the convolutions of sparse CNN training",
    Top.MACHINE: "array for the convolutions of sparse CNN training, and encode unit",
}


def with_heading(manifest: Manifest, text: str) -> str:
    """Return Verilog with its head: comments, and constants as attributes of the top module.

    The attributes `gscn_version`, `gscn_config_digest` and, behind buses, `gscn_register_map` stay
    with the module in netlists, so that one can be told from another without its source.

    Parameters
    ----------
    manifest
        What was generated.
    text
        Its Verilog, the top module first.
    """
    config = manifest.config
    buses = manifest.axi is not None
    lines = [
        f"{manifest.module}: {_WHAT[manifest.top]}{', behind AXI4 and AXI4-Lite' * buses}",
        "SPDX-License-Identifier: Apache-2.0",
        "",
        "Written by `gscn generate`; not to be edited. manifest.json describes it to programs.",
        f"version {VERSION}{f', register map {version_text()}' * buses}",
        f"configuration {config.digest()}:",
        *(f"  {name} = {value}" for name, value in config.to_dict().items()),
    ]
    if buses:
        lines += ["", "every burst says:"]
        # how wide its address is, is said by the ports
        said = {
            name: value for name, value in manifest.axi.to_dict().items() if name != "addr_width"
        }
        lines += [f"  {name} = {value}" for name, value in said.items()]
    lines += ["", "Ports:"]
    for title, ports in by_interface(manifest.ports).items():
        lines += ["", f"  {title}"]
        lines += [f"    {port.direction:6} {port.width:4}  {port.name}" for port in ports]
    constants = {"gscn_version": VERSION, "gscn_config_digest": config.digest()}
    if buses:
        constants["gscn_register_map"] = version_text()
    attributes = [f'(* {name} = "{value}" *)' for name, value in constants.items()]
    top = f"module {manifest.module}("
    head = "\n".join(f"// {line}".rstrip() for line in lines)
    return f"{head}\n\n" + text.replace(top, "\n".join([*attributes, top]), 1)
