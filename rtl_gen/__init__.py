"""Verilog of the array, with a manifest that describes it to other tools."""

from gscn.rtl_gen.array_verilog import AXI_TOP_MODULE, TOP_MODULE, CreateComponent
from gscn.rtl_gen.generator import generate, generate_axi
from gscn.rtl_gen.manifest import Manifest, Port, load_manifest

__all__ = [
    "AXI_TOP_MODULE",
    "TOP_MODULE",
    "CreateComponent",
    "Manifest",
    "Port",
    "generate",
    "generate_axi",
    "load_manifest",
]
