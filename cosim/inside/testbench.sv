// Testbench top: the array, its clock, and one call per cycle into core.cpp.
//
// All that drives the array is registered here: the values that `gscn_cycle` returns at a
// rising edge are seen by the array at the next one. cocotb waits for `launch_done` only, so
// Python runs once per launch and not once per cycle.
//
// Every memory port has its place in vectors, port 0 lowest; what has one bit per port travels to
// C++ as a mask. `gscn_ports.svh`, written for the configuration, names the ports: one line
// `GSCN_PORT(name, number) each.

`define GSCN_PORT(NAME, NUMBER) \
      .NAME``_read_cmd__valid(read_cmd_valid[NUMBER]), \
      .NAME``_read_cmd__payload(read_cmd[NUMBER]), \
      .NAME``_read_cmd__ready(read_cmd_ready[NUMBER]), \
      .NAME``_read_data__valid(read_data_valid[NUMBER]), \
      .NAME``_read_data__payload(read_data[NUMBER*MEM_WIDTH+:MEM_WIDTH]), \
      .NAME``_write_cmd__valid(write_cmd_valid[NUMBER]), \
      .NAME``_write_cmd__payload(write_cmd[NUMBER]), \
      .NAME``_write_cmd__ready(write_cmd_ready[NUMBER]), \
      .NAME``_write_data__valid(write_data_valid[NUMBER]), \
      .NAME``_write_data__payload({write_strobe[NUMBER*64+:MEM_BYTES], \
                                   write_data[NUMBER*MEM_WIDTH+:MEM_WIDTH]}), \
      .NAME``_write_data__ready(write_data_ready[NUMBER]), \
      .NAME``_write_done(write_done[NUMBER]),

// Of a machine that runs lists of both kinds of passes, `GSCN_LISTS` is defined: it stops for its
// host. Its list has places, not passes, and a bit that says whether there are two queues.

module gscn_testbench #(
    parameter int PORTS = 1,
    parameter int ADDR_WIDTH = 32,
    parameter int MEM_WIDTH = 512
);
  localparam int MEM_BYTES = MEM_WIDTH / 8;

  import "DPI-C" function void gscn_cycle(
      input bit start_list_ready,
      input bit busy,
      input bit saturated,
      input bit accumulator_overflow,
      input bit nonfinite,
      input int unsigned error_code,
      input int unsigned error_pass,
      input int unsigned pass_number,
      input longint unsigned counter_data,
      input int unsigned read_cmd_valid,
      input bit [PORTS*64-1:0] read_cmd_addr,
      input bit [PORTS*32-1:0] read_cmd_beats,
      input int unsigned write_cmd_valid,
      input bit [PORTS*64-1:0] write_cmd_addr,
      input bit [PORTS*32-1:0] write_cmd_beats,
      input int unsigned write_data_valid,
      input bit [PORTS*MEM_WIDTH-1:0] write_data,
      input bit [PORTS*64-1:0] write_strobe,
      input int unsigned stop_number,
      input bit answer_ready,
      input bit [127:0] record_addrs,
      output bit rst,
      output bit start_list_valid,
      output longint unsigned list_addr,
      output int unsigned list_count,
      output int unsigned counter_addr,
      output int unsigned read_cmd_ready,
      output int unsigned read_data_valid,
      output bit [PORTS*MEM_WIDTH-1:0] read_data,
      output int unsigned write_cmd_ready,
      output int unsigned write_data_ready,
      output int unsigned write_done,
      output bit list_together,
      output bit answer_valid,
      output longint unsigned answer_addr,
      output bit launch_done
  );

  bit clk = 0;
  always #1 clk = ~clk;

  // Drivers of the array's inputs, written by core.cpp.
  bit rst = 1;
  bit start_list_valid = 0;
  longint unsigned list_addr = 0;
  int unsigned list_count = 0;
  int unsigned counter_addr = 0;
  int unsigned read_cmd_ready = 0;
  int unsigned read_data_valid = 0;
  bit [PORTS*MEM_WIDTH-1:0] read_data = 0;
  int unsigned write_cmd_ready = 0;
  int unsigned write_data_ready = 0;
  int unsigned write_done = 0;
  bit list_together = 0;
  bit answer_valid = 0;
  longint unsigned answer_addr = 0;
  bit launch_done = 0;

  wire start_list_ready;
  wire busy;
  wire saturated;
  wire accumulator_overflow;
  wire nonfinite;
  wire [4:0] error_code;
  wire [31:0] error_pass;
  wire [31:0] pass_number;
  wire [47:0] counter_data;
  wire [PORTS-1:0] read_cmd_valid;
  wire [ADDR_WIDTH+8-1:0] read_cmd[PORTS];
  wire [PORTS-1:0] write_cmd_valid;
  wire [ADDR_WIDTH+8-1:0] write_cmd[PORTS];
  wire [PORTS-1:0] write_data_valid;
  wire [PORTS*MEM_WIDTH-1:0] write_data;
  wire [PORTS*64-1:0] write_strobe;
  wire [31:0] stop_number;
  wire answer_ready;
  wire [127:0] record_addrs;

  gscn_top dut (
`include "gscn_ports.svh"
      .clk,
      .rst,
`ifdef GSCN_LISTS
      .start__valid(start_list_valid),
      .start__payload({list_together, list_addr[ADDR_WIDTH-1:0], list_count,
                       list_addr[ADDR_WIDTH-1:0]}),
      .start__ready(start_list_ready),
      .stop(stop_number),
      .answer__valid(answer_valid),
      .answer__payload({answer_addr[ADDR_WIDTH-1:0], answer_addr != 0}),
      .answer__ready(answer_ready),
      .error(error_code),
      .error_addr(error_addr),
      .record_addrs__0(record_addr[0]),
      .record_addrs__1(record_addr[1]),
`else
      .start_list__valid(start_list_valid),
      .start_list__payload({list_count, list_addr[ADDR_WIDTH-1:0]}),
      .start_list__ready(start_list_ready),
      .error_code,
      .error_pass,
      .pass_number,
`endif
      .busy,
      .saturated,
      .accumulator_overflow,
      .nonfinite,
      .counter_addr(counter_addr[15:0]),
      .counter_data
  );

`ifdef GSCN_LISTS
  wire [ADDR_WIDTH-1:0] error_addr;
  wire [ADDR_WIDTH-1:0] record_addr[2];
  assign record_addrs = {64'(record_addr[1]), 64'(record_addr[0])};
  assign error_pass = 32'(error_addr);
  assign pass_number = 0;
`else
  assign stop_number = 0;
  assign answer_ready = 0;
  assign record_addrs = 0;
`endif

  wire [PORTS*64-1:0] read_cmd_addr, write_cmd_addr;
  wire [PORTS*32-1:0] read_cmd_beats, write_cmd_beats;
  for (genvar port = 0; port < PORTS; ++port) begin : g_port
    assign read_cmd_addr[port*64+:64] = 64'(read_cmd[port][ADDR_WIDTH-1:0]);
    assign read_cmd_beats[port*32+:32] = 32'(read_cmd[port][ADDR_WIDTH+:8]);
    assign write_cmd_addr[port*64+:64] = 64'(write_cmd[port][ADDR_WIDTH-1:0]);
    assign write_cmd_beats[port*32+:32] = 32'(write_cmd[port][ADDR_WIDTH+:8]);
    if (MEM_BYTES < 64) assign write_strobe[port*64+MEM_BYTES+:64-MEM_BYTES] = '0;
  end

  // Next values, so that the registers change by nonblocking assignment.
  bit rst_next, start_list_valid_next, launch_done_next;
  longint unsigned list_addr_next;
  int unsigned list_count_next;
  int unsigned counter_addr_next, read_cmd_ready_next, read_data_valid_next;
  int unsigned write_cmd_ready_next, write_data_ready_next, write_done_next;
  bit [PORTS*MEM_WIDTH-1:0] read_data_next;
  bit list_together_next, answer_valid_next;
  longint unsigned answer_addr_next;

  always @(posedge clk) begin
    gscn_cycle(
        start_list_ready,
        busy,
        saturated,
        accumulator_overflow,
        nonfinite,
        32'(error_code),
        error_pass,
        pass_number,
        64'(counter_data),
        32'(read_cmd_valid),
        read_cmd_addr,
        read_cmd_beats,
        32'(write_cmd_valid),
        write_cmd_addr,
        write_cmd_beats,
        32'(write_data_valid),
        write_data,
        write_strobe,
        stop_number,
        answer_ready,
        record_addrs,
        rst_next,
        start_list_valid_next,
        list_addr_next,
        list_count_next,
        counter_addr_next,
        read_cmd_ready_next,
        read_data_valid_next,
        read_data_next,
        write_cmd_ready_next,
        write_data_ready_next,
        write_done_next,
        list_together_next,
        answer_valid_next,
        answer_addr_next,
        launch_done_next
    );
    rst <= rst_next;
    start_list_valid <= start_list_valid_next;
    list_addr <= list_addr_next;
    list_count <= list_count_next;
    counter_addr <= counter_addr_next;
    read_cmd_ready <= read_cmd_ready_next;
    read_data_valid <= read_data_valid_next;
    read_data <= read_data_next;
    write_cmd_ready <= write_cmd_ready_next;
    write_data_ready <= write_data_ready_next;
    write_done <= write_done_next;
    list_together <= list_together_next;
    answer_valid <= answer_valid_next;
    answer_addr <= answer_addr_next;
    launch_done <= launch_done_next;
  end
endmodule
