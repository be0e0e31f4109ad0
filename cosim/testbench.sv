// Testbench top: the accelerator, its clock, and one call per cycle into memory.cpp.
//
// All that drives the accelerator is registered here: the values that `gscn_cycle` returns at a
// rising edge are seen by the accelerator at the next one. cocotb waits for `launch_done` only, so
// Python runs once per launch and not once per cycle.

module gscn_testbench #(
    parameter int ADDR_WIDTH = 32,
    parameter int MEM_WIDTH = 512
);
  localparam int MEM_BYTES = MEM_WIDTH / 8;

  import "DPI-C" function void gscn_cycle(
      input bit start_ready,
      input bit busy,
      input bit saturated,
      input bit accumulator_overflow,
      input bit address_error,
      input longint unsigned counter_data,
      input bit read_cmd_valid,
      input longint unsigned read_cmd_addr,
      input int unsigned read_cmd_beats,
      input bit write_cmd_valid,
      input longint unsigned write_cmd_addr,
      input int unsigned write_cmd_beats,
      input bit write_data_valid,
      input bit [MEM_WIDTH-1:0] write_data,
      input longint unsigned write_strobe,
      output bit rst,
      output bit start_valid,
      output longint unsigned start_queue_addr,
      output int unsigned start_job_count,
      output int unsigned counter_addr,
      output bit read_cmd_ready,
      output bit read_data_valid,
      output bit [MEM_WIDTH-1:0] read_data,
      output bit write_cmd_ready,
      output bit write_data_ready,
      output bit write_done,
      output bit launch_done
  );

  bit clk = 0;
  always #1 clk = ~clk;

  // Drivers of the accelerator's inputs, written by memory.cpp.
  bit rst = 1;
  bit start_valid = 0;
  longint unsigned start_queue_addr = 0;
  int unsigned start_job_count = 0;
  int unsigned counter_addr = 0;
  bit read_cmd_ready = 0;
  bit read_data_valid = 0;
  bit [MEM_WIDTH-1:0] read_data = 0;
  bit write_cmd_ready = 0;
  bit write_data_ready = 0;
  bit write_done = 0;
  bit launch_done = 0;

  wire start_ready;
  wire busy;
  wire saturated;
  wire accumulator_overflow;
  wire address_error;
  wire [47:0] counter_data;
  wire read_cmd_valid;
  wire [ADDR_WIDTH+8-1:0] read_cmd;
  wire write_cmd_valid;
  wire [ADDR_WIDTH+8-1:0] write_cmd;
  wire write_data_valid;
  wire [MEM_WIDTH+MEM_BYTES-1:0] write_data;

  gscn_top dut (
      .clk,
      .rst,
      .start__valid(start_valid),
      .start__payload({start_job_count, start_queue_addr[ADDR_WIDTH-1:0]}),
      .start__ready(start_ready),
      .busy,
      .saturated,
      .accumulator_overflow,
      .address_error,
      .counter_addr(counter_addr[15:0]),
      .counter_data,
      .mem_read_cmd__valid(read_cmd_valid),
      .mem_read_cmd__payload(read_cmd),
      .mem_read_cmd__ready(read_cmd_ready),
      .mem_read_data__valid(read_data_valid),
      .mem_read_data__payload(read_data),
      .mem_write_cmd__valid(write_cmd_valid),
      .mem_write_cmd__payload(write_cmd),
      .mem_write_cmd__ready(write_cmd_ready),
      .mem_write_data__valid(write_data_valid),
      .mem_write_data__payload(write_data),
      .mem_write_data__ready(write_data_ready),
      .mem_write_done(write_done)
  );

  // Next values, so that the registers change by nonblocking assignment.
  bit rst_next, start_valid_next, read_cmd_ready_next, read_data_valid_next;
  bit write_cmd_ready_next, write_data_ready_next, write_done_next, launch_done_next;
  longint unsigned start_queue_addr_next;
  int unsigned start_job_count_next, counter_addr_next;
  bit [MEM_WIDTH-1:0] read_data_next;

  always @(posedge clk) begin
    gscn_cycle(
        start_ready,
        busy,
        saturated,
        accumulator_overflow,
        address_error,
        {16'b0, counter_data},
        read_cmd_valid,
        {{(64 - ADDR_WIDTH) {1'b0}}, read_cmd[ADDR_WIDTH-1:0]},
        {24'b0, read_cmd[ADDR_WIDTH+:8]},
        write_cmd_valid,
        {{(64 - ADDR_WIDTH) {1'b0}}, write_cmd[ADDR_WIDTH-1:0]},
        {24'b0, write_cmd[ADDR_WIDTH+:8]},
        write_data_valid,
        write_data[MEM_WIDTH-1:0],
        64'(write_data[MEM_WIDTH+:MEM_BYTES]),
        rst_next,
        start_valid_next,
        start_queue_addr_next,
        start_job_count_next,
        counter_addr_next,
        read_cmd_ready_next,
        read_data_valid_next,
        read_data_next,
        write_cmd_ready_next,
        write_data_ready_next,
        write_done_next,
        launch_done_next
    );
    rst <= rst_next;
    start_valid <= start_valid_next;
    start_queue_addr <= start_queue_addr_next;
    start_job_count <= start_job_count_next;
    counter_addr <= counter_addr_next;
    read_cmd_ready <= read_cmd_ready_next;
    read_data_valid <= read_data_valid_next;
    read_data <= read_data_next;
    write_cmd_ready <= write_cmd_ready_next;
    write_data_ready <= write_data_ready_next;
    write_done <= write_done_next;
    launch_done <= launch_done_next;
  end
endmodule
