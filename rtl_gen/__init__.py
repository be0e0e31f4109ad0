"""Verilog of the accelerator, with a manifest that describes it to other tools."""

from rtl_gen.generator import TOP_MODULE, CreateComponent, generate
from rtl_gen.manifest import Manifest, Port, load_manifest

__all__ = ["TOP_MODULE", "CreateComponent", "Manifest", "Port", "generate", "load_manifest"]
