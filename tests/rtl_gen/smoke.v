// Plain Verilog testbench: runs one list of passes on the array and compares all of memory.
//
// Plusargs: image, expected (memory before and after, one beat per line, for $readmemh). Ends with
// the exit status 0 and a line that begins with PASS, or through $fatal.
`timescale 1ns / 1ps

module gscn_smoke;
  parameter ADDR_WIDTH = 32;
  parameter MEM_WIDTH = 128;
  parameter BEATS = 1;           // of memory
  parameter LIST_ADDR = 0;       // of the descriptors
  parameter LIST_COUNT = 1;      // of passes
  parameter TOTAL_COUNTER = 0;   // index of the counter of busy cycles
  parameter LATENCY = 5;
  parameter SEED = 1;
  localparam MEM_BYTES = MEM_WIDTH / 8;
  localparam TIMEOUT = 30000;

  reg clk = 0;
  always #1 clk = ~clk;

  reg rst = 1;
  reg start_valid = 0;
  reg [15:0] counter_addr = TOTAL_COUNTER;
  reg read_cmd_ready = 0;
  reg read_data_valid = 0;
  reg [MEM_WIDTH-1:0] read_data = 0;
  reg write_cmd_ready = 0;
  reg write_data_ready = 0;
  reg write_done = 0;
  wire start_ready, busy, saturated, accumulator_overflow, nonfinite;
  wire [4:0] error_code;
  wire [31:0] error_pass;
  wire [47:0] counter_data;
  wire read_cmd_valid, write_cmd_valid, write_data_valid;
  wire [ADDR_WIDTH+7:0] read_cmd, write_cmd;
  wire [MEM_WIDTH+MEM_BYTES-1:0] write_data;

  gscn_top dut (
      .clk(clk),
      .rst(rst),
      .start_list__valid(start_valid),
      .start_list__payload({LIST_COUNT[31:0], LIST_ADDR[ADDR_WIDTH-1:0]}),
      .start_list__ready(start_ready),
      .busy(busy),
      .saturated(saturated),
      .accumulator_overflow(accumulator_overflow),
      .nonfinite(nonfinite),
      .error_code(error_code),
      .error_pass(error_pass),
      .pass_number(),
      .counter_addr(counter_addr),
      .counter_data(counter_data),
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

  reg [MEM_WIDTH-1:0] memory[0:BEATS-1];
  reg [MEM_WIDTH-1:0] expected[0:BEATS-1];
  reg [8*1024-1:0] path;
  integer seed = SEED;
  initial begin
    if (!$value$plusargs("image=%s", path)) $fatal(1, "the plusarg image must be given");
    $readmemh(path, memory);
    if (!$value$plusargs("expected=%s", path)) $fatal(1, "the plusarg expected must be given");
    $readmemh(path, expected);
  end

  // Whatever controls something outside must be known once reset has been applied.
  integer cycles = 0;
  integer busy_cycles = 0;
  wire known = ^{start_ready, busy, saturated, accumulator_overflow, nonfinite, error_code,
                 read_cmd_valid, write_cmd_valid, write_data_valid} !== 1'bx
      && (read_cmd_valid !== 1'b1 || ^read_cmd !== 1'bx)
      && (write_cmd_valid !== 1'b1 || ^write_cmd !== 1'bx)
      && (write_data_valid !== 1'b1 || ^write_data[MEM_WIDTH+:MEM_BYTES] !== 1'bx);
  always @(posedge clk) begin
    cycles <= cycles + 1;
    rst <= 0;  // one edge of reset is enough
    if (cycles > 0 && !known) $fatal(1, "cycle %0d: a control output is unknown", cycles);
    if (cycles > 0 && error_code != 0) $fatal(1, "pass %0d: error %0d", error_pass, error_code);
    if (cycles > TIMEOUT) $fatal(1, "not done after %0d cycles", cycles);
    if (cycles > 0 && busy) busy_cycles <= busy_cycles + 1;
  end

  // Reads: one burst at a time, with pauses.
  integer read_wait = 0;
  integer read_left = 0;
  integer read_beat = 0;
  always @(posedge clk) begin
    read_data_valid <= 0;
    read_data <= {MEM_WIDTH{1'bx}};  // no beat, no value
    if (rst) begin
      read_cmd_ready <= 0;
    end else if (read_cmd_ready) begin
      if (read_cmd_valid) begin
        read_cmd_ready <= 0;
        read_beat <= read_cmd[ADDR_WIDTH-1:0] / MEM_BYTES;
        read_left <= read_cmd[ADDR_WIDTH+:8];
        read_wait <= LATENCY;
      end
    end else if (read_wait != 0) begin
      read_wait <= read_wait - 1;
    end else if (read_left == 0) begin
      read_cmd_ready <= 1;
    end else if ($random(seed) & 1) begin
      if (read_beat >= BEATS) $fatal(1, "read of beat %0d, beyond memory", read_beat);
      read_data_valid <= 1;
      read_data <= memory[read_beat];
      read_beat <= read_beat + 1;
      read_left <= read_left - 1;
    end
  end

  // Writes: a command, its beats with pauses, then the completion.
  integer write_left = 0;
  integer write_beat = 0;
  integer write_wait = 0;
  integer index;
  always @(posedge clk) begin
    write_done <= 0;
    if (rst) begin
      write_cmd_ready <= 0;
      write_data_ready <= 0;
    end else if (write_cmd_ready) begin
      if (write_cmd_valid) begin
        write_cmd_ready <= 0;
        write_beat = write_cmd[ADDR_WIDTH-1:0] / MEM_BYTES;
        write_left = write_cmd[ADDR_WIDTH+:8];
        write_wait <= 3;
      end
    end else if (write_left != 0) begin
      if (write_data_ready && write_data_valid) begin
        if (write_beat >= BEATS) $fatal(1, "write of beat %0d, beyond memory", write_beat);
        for (index = 0; index < MEM_BYTES; index = index + 1)
          if (write_data[MEM_WIDTH+index])
            memory[write_beat][8*index+:8] = write_data[8*index+:8];
        write_beat = write_beat + 1;
        write_left = write_left - 1;
      end
      write_data_ready <= write_left != 0 && ($random(seed) & 1);
    end else if (write_wait != 0) begin
      write_data_ready <= 0;
      write_wait <= write_wait - 1;
      write_done <= write_wait == 1;
    end else begin
      write_cmd_ready <= 1;
    end
  end

  // The list, then the comparison.
  integer state = 0;
  integer quiet = 0;
  integer wrong = 0;
  always @(posedge clk) begin
    if (!rst) begin
      case (state)
        0: begin
          start_valid <= 1;
          if (start_valid && start_ready) begin
            start_valid <= 0;
            state <= 1;
          end
        end
        1: state <= 2;  // busy rises
        2:
        if (!busy) state <= 3;
        default: begin
          if (busy || read_cmd_valid || write_cmd_valid || write_data_valid)
            $fatal(1, "the array must be silent after the last pass");
          quiet <= quiet + 1;
          if (quiet == 64) begin
            if (counter_data !== busy_cycles)
              $fatal(1, "busy for %0d cycles, but counted %0d", busy_cycles, counter_data);
            for (index = 0; index < BEATS; index = index + 1)
              if (memory[index] !== expected[index]) begin
                if (wrong < 4)
                  $display("beat %0d: %h, expected %h", index, memory[index], expected[index]);
                wrong = wrong + 1;
              end
            if (wrong != 0) $fatal(1, "%0d beats of %0d differ", wrong, BEATS);
            $display("PASS: %0d beats, busy for %0d cycles, flags %b", BEATS, busy_cycles,
                     {nonfinite, accumulator_overflow, saturated});
            $finish;
          end
        end
      endcase
    end
  end
endmodule
