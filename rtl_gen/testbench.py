"""A testbench in plain Verilog that runs an image of `gscn image` behind AXI.

It has a memory behind every AXI4 port and a host at the registers, and ends with `PASS` or with an
error. What it reads is written by `driver.image`.
"""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

from gscn.port import port_names
from gscn.registers import register

if TYPE_CHECKING:
    from gscn.rtl_gen.manifest import Manifest

PLACE_WIDTH = 32
"""Bits of a Verilog integer, by which bytes of memory are counted."""

_BENCH = Template("""\
// Testbench of $module, configuration $digest: runs the passes of an image, compares the results.
//
//   +image=FOLDER   of `gscn image`, for this configuration
//   +timeout=CYCLES that it may take; 10 million if it is not given
$option//
// Memory answers in order, one burst at a time in each direction. The host waits for the interrupt.

module $bench;
  parameter MEMORY_BYTES = 1 << 22;  // of the image and its results, wherever its base is

  reg clk = 0;
  reg rst = 1;
  always #5 clk = !clk;

  reg [7:0] memory [0:MEMORY_BYTES-1];
  reg [7:0] results [0:MEMORY_BYTES-1];
  reg [$addr_high:0] base;  // byte address of memory[0]

  // Index of a byte of memory that is so far from the base.
  function integer place_of(input [$addr_high:0] distance);
    place_of = {${place_bits}distance[$place_high:0]};
  endfunction

$wires

  $module accelerator (
$connections
  );
$memories

  // -- host

  reg answered, refused;
  reg [31:0] value;

  task write_register(input [11:0] offset, input [31:0] data);
    begin
      s_axil_awaddr <= offset;
      s_axil_awvalid <= 1;
      s_axil_wdata <= data;
      s_axil_wvalid <= 1;
      s_axil_bready <= 1;
      answered = 0;
      while (!answered) begin
        @(posedge clk);
        if (s_axil_awvalid && s_axil_awready) s_axil_awvalid <= 0;
        if (s_axil_wvalid && s_axil_wready) s_axil_wvalid <= 0;
        answered = s_axil_bvalid && s_axil_bready;
        refused = s_axil_bresp != 0;
      end
      s_axil_bready <= 0;
      if (refused) fail("a write of a register was refused");
    end
  endtask

  task read_register(input [11:0] offset);
    begin
      s_axil_araddr <= offset;
      s_axil_arvalid <= 1;
      s_axil_rready <= 1;
      answered = 0;
      while (!answered) begin
        @(posedge clk);
        if (s_axil_arvalid && s_axil_arready) s_axil_arvalid <= 0;
        answered = s_axil_rvalid && s_axil_rready;
        refused = s_axil_rresp != 0;
        value = s_axil_rdata;
      end
      s_axil_rready <= 0;
      if (refused) fail("a read of a register was refused");
    end
  endtask

  task fail(input [80*8-1:0] why);
    begin
      $$display("FAIL: %0s", why);
      $$fatal(1);
    end
  endtask

  // -- files

  reg [1024*8-1:0] folder, path;
  integer file, count, size, memory_size, passes, outputs, timeout, range, at, place, bytes;
  integer byte_value, number, different;
  integer cycles = 0;
  reg [63:0] image_base, digest, address;$declaration

  task open(input [16*8-1:0] name);
    begin
      $$sformat(path, "%0s/%0s", folder, name);
      file = $$fopen(path, "rb");
      if (file == 0) fail("a file of the image cannot be read");
    end
  endtask

  always @(posedge clk) begin
    cycles <= cycles + 1;
    if (cycles > timeout) fail("the list did not end in time");
  end

  always begin : host  // once, to $$finish
    if (!$$value$$plusargs("timeout=%d", timeout)) timeout = 10000000;
    if (!$$value$$plusargs("image=%s", folder)) fail("+image=FOLDER must be given");
    open("image.txt");
    count = $$fscanf(file, "%h %h %d %d %d %d", digest, image_base, size, memory_size, passes,
                    outputs);
    if (count != 6) fail("image.txt must begin with six numbers");
    $$fclose(file);
    if (digest != 64'h$digest) fail("the image is for another configuration");
    if (memory_size > MEMORY_BYTES) fail("MEMORY_BYTES is too small for the image");
$chosen    base = $base;
    for (at = 0; at < MEMORY_BYTES; at = at + 1) memory[at] = 0;
    open("image.bin");
    if ($$fread(memory, file, 0, size) != size) fail("image.bin is too short");
    $$fclose(file);

    repeat (4) @(posedge clk);
    rst <= 0;
    @(posedge clk);
    read_register($id_offset);
    if (value != 32'h$id_value) fail("register ID is of something else");
    read_register($digest_lo_offset);
    if (value != digest[31:0]) fail("the core has another configuration");
    read_register($digest_hi_offset);
    if (value != digest[63:32]) fail("the core has another configuration");
    write_register($enable_offset, 3);
    write_register($addr_lo_offset, image_base[31:0]);
    write_register($addr_hi_offset, image_base[63:32]);
$relocation    write_register($count_offset, passes);
    write_register($control_offset, $start_mask);
    value = $busy_mask;
    while ((value & $busy_mask) != 0) begin
      while (!interrupt) @(posedge clk);
      write_register($events_offset, 3);
      read_register($status_offset);
    end
    read_register($error_offset);
    if (value != 0) begin
      $$display("ERROR.code is %0d", value);
      fail("an error ended the list");
    end

    open("image.txt");
    count = $$fscanf(file, "%h %h %d %d %d %d", digest, image_base, size, memory_size, passes,
                    outputs);
    place = 0;
    different = 0;
    for (range = 0; range < outputs; range = range + 1) begin
      count = $$fscanf(file, "%h %d", address, bytes);
      if (count != 2) fail("image.txt must have an address and a size for each result");
      at = address[31:0] - image_base[31:0];
      for (number = 0; number < bytes; number = number + 1)
        results[place + number] = memory[at + number];
      place = place + bytes;
    end
    $$fclose(file);
    compare;
    if (different != 0) begin
      $$display("%0d of %0d bytes of results differ", different, place);
      fail("results differ from the expected ones");
    end
    $$display("PASS: %0d passes, %0d bytes of results, %0d cycles", passes, place, cycles);
    $$finish;
  end

  task compare;
    begin
      open("expected.bin");
      for (number = 0; number < place; number = number + 1) begin
        byte_value = $$fgetc(file);
        if (byte_value < 0) fail("expected.bin is too short");
        if (results[number] !== byte_value[7:0]) different = different + 1;
      end
      if ($$fgetc(file) >= 0) fail("expected.bin is too long");
      $$fclose(file);
    end
  endtask

endmodule
""")

_OPTION = """\
//   +memory_base=HEX where on the bus the array's memory begins, a multiple of 4096; 0 if it is not
//                   given
"""
_DECLARATION = "\n  reg [63:0] memory_base;"
_RELOCATION = Template("""\
    write_register($base_lo, memory_base[31:0]);
    write_register($base_hi, memory_base[63:32]);
""")
"""Of a bus with more bits of address than the array."""

_MEMORY = Template("""\

  // -- memory behind $port

  reg [$addr_high:0] ${port}_read_at, ${port}_write_at;
  reg [8:0] ${port}_left = 0;
  reg ${port}_writing = 0;
  integer ${port}_byte;
  assign ${port}_arready = ${port}_left == 0;
  assign ${port}_awready = !${port}_writing && !${port}_bvalid;
  assign ${port}_wready = ${port}_writing;

  always @(posedge clk) begin
    if (!${port}_rvalid || ${port}_rready) begin
      ${port}_rvalid <= ${port}_left != 0;
      ${port}_rlast <= ${port}_left == 1;
      if (${port}_left != 0) begin
        if (${port}_read_at > MEMORY_BYTES - $bytes) fail("a read is beyond MEMORY_BYTES");
        for (${port}_byte = 0; ${port}_byte < $bytes; ${port}_byte = ${port}_byte + 1)
          ${port}_rdata[8*${port}_byte +: 8] <= memory[place_of(${port}_read_at) + ${port}_byte];
        ${port}_read_at <= ${port}_read_at + $bytes;
        ${port}_left <= ${port}_left - 1;
      end
    end
    if (${port}_arvalid && ${port}_arready) begin
      ${port}_read_at <= ${port}_araddr - base;
      ${port}_left <= {1'b0, ${port}_arlen} + 1;
      ${port}_rid <= ${port}_arid;
    end
  end

  integer ${port}_lane;
  always @(posedge clk) begin
    if (${port}_bvalid && ${port}_bready) ${port}_bvalid <= 0;
    if (${port}_awvalid && ${port}_awready) begin
      ${port}_write_at <= ${port}_awaddr - base;
      ${port}_writing <= 1;
      ${port}_bid <= ${port}_awid;
    end
    if (${port}_wvalid && ${port}_wready) begin
      if (${port}_write_at > MEMORY_BYTES - $bytes) fail("a write is beyond MEMORY_BYTES");
      for (${port}_lane = 0; ${port}_lane < $bytes; ${port}_lane = ${port}_lane + 1)
        if (${port}_wstrb[${port}_lane])
          memory[place_of(${port}_write_at) + ${port}_lane] = ${port}_wdata[8*${port}_lane +: 8];
      ${port}_write_at <= ${port}_write_at + $bytes;
      if (${port}_wlast) begin
        ${port}_writing <= 0;
        ${port}_bvalid <= 1;
      end
    end
  end
""")


def bench_module(module: str) -> str:
    """Return the name of the testbench of a module, which is that of its file, too."""
    return f"{module}_tb"


def _is_wire(name: str) -> bool:
    """Return whether an input of the module is driven by an assignment, not by a process."""
    return name.startswith("m_axi") and name.endswith("ready")


def _offset(name: str) -> str:
    return f"12'h{register(name).offset:03X}"


def _relocation(own_width: int, bus_width: int) -> dict[str, str]:
    """Return what the host does about where the array's memory begins on the bus."""
    bits = f"[{bus_width - 1}:0]"
    if bus_width == own_width:
        texts = {"option": "", "declaration": "", "chosen": "", "relocation": ""}
        return {**texts, "base": f"image_base{bits}"}
    return {
        "option": _OPTION,
        "declaration": _DECLARATION,
        "chosen": '    if (!$value$plusargs("memory_base=%h", memory_base)) memory_base = 0;\n',
        "base": f"image_base{bits} + memory_base{bits}",
        "relocation": _RELOCATION.substitute(
            base_lo=_offset("MEMORY_BASE_LO"), base_hi=_offset("MEMORY_BASE_HI")
        ),
    }


def testbench_text(manifest: Manifest) -> str:
    """Return the testbench of a module behind AXI.

    Parameters
    ----------
    manifest
        What was generated, with buses.
    """
    config = manifest.config
    ports = [port for port in manifest.ports if port.name not in ("clk", "rst")]
    wires = []
    for port in ports:
        vector = "" if port.width == 1 else f"[{port.width - 1}:0] "
        if port.direction == "output" or _is_wire(port.name):
            wires.append(f"  wire {vector}{port.name};")
        else:
            start = "4'b1111" if port.name == "s_axil_wstrb" else "0"
            wires.append(f"  reg {vector}{port.name} = {start};")
    bus_width = manifest.axi.bus_addr_width(config)
    place_width = min(bus_width, PLACE_WIDTH)
    numbers = {
        "addr_high": bus_width - 1,
        "bytes": config.mem_bytes,
        "place_high": place_width - 1,
        "place_bits": f"{PLACE_WIDTH - place_width}'b0, " if place_width < PLACE_WIDTH else "",
    }
    offsets = {
        "id": "ID", "digest_lo": "CONFIG_DIGEST_LO", "digest_hi": "CONFIG_DIGEST_HI",
        "enable": "INTERRUPT_ENABLE", "events": "INTERRUPT_STATUS", "control": "CONTROL",
        "addr_lo": "PASSES_ADDR_LO", "addr_hi": "PASSES_ADDR_HI", "count": "PASS_COUNT",
        "status": "STATUS", "error": "ERROR",
    }  # fmt: skip
    return _BENCH.substitute(
        numbers,
        **_relocation(config.addr_width, bus_width),
        module=manifest.module,
        bench=bench_module(manifest.module),
        digest=config.digest(),
        wires="\n".join(wires),
        connections=",\n".join(f"      .{port.name}({port.name})" for port in manifest.ports),
        memories="".join(
            _MEMORY.substitute(numbers, port=name) for name in port_names("m_axi", config.ports)
        ),
        id_value=f"{register('ID').reset:08X}",
        start_mask=register("CONTROL").field("start").mask,
        busy_mask=register("STATUS").field("busy").mask,
        **{f"{key}_offset": _offset(name) for key, name in offsets.items()},
    )
