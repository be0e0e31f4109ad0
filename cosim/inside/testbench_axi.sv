// Testbench top: the array behind AXI4 and AXI4-Lite, its clock, and one call per cycle into
// axi.cpp. Otherwise as testbench.sv.

`define GSCN_PORT(NAME, NUMBER) \
      .NAME``_awvalid(aw_valid[NUMBER]), \
      .NAME``_awready(aw_ready[NUMBER]), \
      .NAME``_awid(aw_id[NUMBER]), \
      .NAME``_awaddr(aw_addr[NUMBER]), \
      .NAME``_awlen(aw_rest[NUMBER][7:0]), \
      .NAME``_awsize(aw_rest[NUMBER][10:8]), \
      .NAME``_awburst(aw_rest[NUMBER][12:11]), \
      .NAME``_awlock(aw_rest[NUMBER][13]), \
      .NAME``_awcache(aw_rest[NUMBER][17:14]), \
      .NAME``_awprot(aw_rest[NUMBER][20:18]), \
      .NAME``_awqos(aw_rest[NUMBER][24:21]), \
      .NAME``_wvalid(w_valid[NUMBER]), \
      .NAME``_wready(w_ready[NUMBER]), \
      .NAME``_wdata(w_data[NUMBER*MEM_WIDTH+:MEM_WIDTH]), \
      .NAME``_wstrb(w_strobe[NUMBER*64+:MEM_BYTES]), \
      .NAME``_wlast(w_last[NUMBER]), \
      .NAME``_bvalid(b_valid[NUMBER]), \
      .NAME``_bready(b_ready[NUMBER]), \
      .NAME``_bid(b_id[NUMBER*32+:ID_WIDTH]), \
      .NAME``_bresp(2'b00), \
      .NAME``_arvalid(ar_valid[NUMBER]), \
      .NAME``_arready(ar_ready[NUMBER]), \
      .NAME``_arid(ar_id[NUMBER]), \
      .NAME``_araddr(ar_addr[NUMBER]), \
      .NAME``_arlen(ar_rest[NUMBER][7:0]), \
      .NAME``_arsize(ar_rest[NUMBER][10:8]), \
      .NAME``_arburst(ar_rest[NUMBER][12:11]), \
      .NAME``_arlock(ar_rest[NUMBER][13]), \
      .NAME``_arcache(ar_rest[NUMBER][17:14]), \
      .NAME``_arprot(ar_rest[NUMBER][20:18]), \
      .NAME``_arqos(ar_rest[NUMBER][24:21]), \
      .NAME``_rvalid(r_valid[NUMBER]), \
      .NAME``_rready(r_ready[NUMBER]), \
      .NAME``_rid(r_id[NUMBER*32+:ID_WIDTH]), \
      .NAME``_rdata(r_data[NUMBER*MEM_WIDTH+:MEM_WIDTH]), \
      .NAME``_rresp({2{r_fails[NUMBER]}}), \
      .NAME``_rlast(r_last[NUMBER]),

module gscn_testbench #(
    parameter int PORTS = 1,
    parameter int ADDR_WIDTH = 32,
    parameter int MEM_WIDTH = 512,
    parameter int ID_WIDTH = 1
);
  localparam int MEM_BYTES = MEM_WIDTH / 8;
  localparam int REST_WIDTH = 25;  // len, size, burst, lock, cache, prot, qos, from bit 0 on

  import "DPI-C" function void gscn_axi_cycle(
      input bit host_interrupt,
      input int unsigned aw_valid,
      input bit [PORTS*64-1:0] aw_addr,
      input bit [PORTS*64-1:0] aw_rest,
      input int unsigned w_valid,
      input bit [PORTS*MEM_WIDTH-1:0] w_data,
      input bit [PORTS*64-1:0] w_strobe,
      input int unsigned w_last,
      input int unsigned b_ready,
      input int unsigned ar_valid,
      input bit [PORTS*64-1:0] ar_addr,
      input bit [PORTS*64-1:0] ar_rest,
      input int unsigned r_ready,
      input bit host_aw_ready,
      input bit host_w_ready,
      input bit host_b_valid,
      input int unsigned host_b_resp,
      input bit host_ar_ready,
      input bit host_r_valid,
      input int unsigned host_r_data,
      input int unsigned host_r_resp,
      output bit rst,
      output int unsigned aw_ready,
      output int unsigned w_ready,
      output int unsigned b_valid,
      output bit [PORTS*32-1:0] b_id,
      output int unsigned ar_ready,
      output int unsigned r_valid,
      output bit [PORTS*32-1:0] r_id,
      output bit [PORTS*MEM_WIDTH-1:0] r_data,
      output int unsigned r_last,
      output int unsigned r_fails,
      output bit host_aw_valid,
      output bit host_w_valid,
      output bit host_b_ready,
      output bit host_ar_valid,
      output bit host_r_ready,
      output int unsigned host_addr,
      output int unsigned host_data,
      output bit launch_done
  );

  bit clk = 0;
  always #1 clk = ~clk;

  // Drivers of the array's inputs, written by axi.cpp.
  bit rst = 1;
  int unsigned aw_ready = 0;
  int unsigned w_ready = 0;
  int unsigned b_valid = 0;
  bit [PORTS*32-1:0] b_id = 0;
  int unsigned ar_ready = 0;
  int unsigned r_valid = 0;
  bit [PORTS*32-1:0] r_id = 0;
  bit [PORTS*MEM_WIDTH-1:0] r_data = 0;
  int unsigned r_last = 0;
  int unsigned r_fails = 0;  // answered with DECERR
  bit host_aw_valid = 0;
  bit host_w_valid = 0;
  bit host_b_ready = 0;
  bit host_ar_valid = 0;
  bit host_r_ready = 0;
  int unsigned host_addr = 0;
  int unsigned host_data = 0;
  bit launch_done = 0;

  wire interrupt;
  wire [PORTS-1:0] aw_valid, w_valid, w_last, b_ready, ar_valid, r_ready;
  wire [ID_WIDTH-1:0] aw_id[PORTS], ar_id[PORTS];
  wire [ADDR_WIDTH-1:0] aw_addr[PORTS], ar_addr[PORTS];
  wire [REST_WIDTH-1:0] aw_rest[PORTS], ar_rest[PORTS];
  wire [PORTS*MEM_WIDTH-1:0] w_data;
  wire [PORTS*64-1:0] w_strobe;
  wire host_aw_ready, host_w_ready, host_b_valid, host_ar_ready, host_r_valid;
  wire [1:0] host_b_resp, host_r_resp;
  wire [31:0] host_r_data;

  gscn_axi_top dut (
`include "gscn_ports.svh"
      .clk,
      .rst,
      .interrupt,
      .s_axil_awvalid(host_aw_valid),
      .s_axil_awready(host_aw_ready),
      .s_axil_awaddr(host_addr[11:0]),
      .s_axil_awprot(3'b000),
      .s_axil_wvalid(host_w_valid),
      .s_axil_wready(host_w_ready),
      .s_axil_wdata(host_data),
      .s_axil_wstrb(4'b1111),
      .s_axil_bvalid(host_b_valid),
      .s_axil_bready(host_b_ready),
      .s_axil_bresp(host_b_resp),
      .s_axil_arvalid(host_ar_valid),
      .s_axil_arready(host_ar_ready),
      .s_axil_araddr(host_addr[11:0]),
      .s_axil_arprot(3'b000),
      .s_axil_rvalid(host_r_valid),
      .s_axil_rready(host_r_ready),
      .s_axil_rdata(host_r_data),
      .s_axil_rresp(host_r_resp)
  );

  // With the ID in the upper half of a word.
  wire [PORTS*64-1:0] aw_addrs, ar_addrs, aw_rests, ar_rests;
  for (genvar port = 0; port < PORTS; ++port) begin : g_port
    assign aw_addrs[port*64+:64] = 64'(aw_addr[port]);
    assign ar_addrs[port*64+:64] = 64'(ar_addr[port]);
    assign aw_rests[port*64+:64] = {32'(aw_id[port]), 32'(aw_rest[port])};
    assign ar_rests[port*64+:64] = {32'(ar_id[port]), 32'(ar_rest[port])};
    if (MEM_BYTES < 64) assign w_strobe[port*64+MEM_BYTES+:64-MEM_BYTES] = '0;
  end

  // Next values, so that the registers change by nonblocking assignment.
  bit rst_next, host_aw_valid_next, host_w_valid_next, host_b_ready_next, host_ar_valid_next;
  bit host_r_ready_next, launch_done_next;
  int unsigned aw_ready_next, w_ready_next, b_valid_next, ar_ready_next, r_valid_next, r_last_next;
  int unsigned r_fails_next;
  int unsigned host_addr_next, host_data_next;
  bit [PORTS*32-1:0] b_id_next, r_id_next;
  bit [PORTS*MEM_WIDTH-1:0] r_data_next;

  always @(posedge clk) begin
    gscn_axi_cycle(
        interrupt,
        32'(aw_valid),
        aw_addrs,
        aw_rests,
        32'(w_valid),
        w_data,
        w_strobe,
        32'(w_last),
        32'(b_ready),
        32'(ar_valid),
        ar_addrs,
        ar_rests,
        32'(r_ready),
        host_aw_ready,
        host_w_ready,
        host_b_valid,
        32'(host_b_resp),
        host_ar_ready,
        host_r_valid,
        host_r_data,
        32'(host_r_resp),
        rst_next,
        aw_ready_next,
        w_ready_next,
        b_valid_next,
        b_id_next,
        ar_ready_next,
        r_valid_next,
        r_id_next,
        r_data_next,
        r_last_next,
        r_fails_next,
        host_aw_valid_next,
        host_w_valid_next,
        host_b_ready_next,
        host_ar_valid_next,
        host_r_ready_next,
        host_addr_next,
        host_data_next,
        launch_done_next
    );
    rst <= rst_next;
    aw_ready <= aw_ready_next;
    w_ready <= w_ready_next;
    b_valid <= b_valid_next;
    b_id <= b_id_next;
    ar_ready <= ar_ready_next;
    r_valid <= r_valid_next;
    r_id <= r_id_next;
    r_data <= r_data_next;
    r_last <= r_last_next;
    r_fails <= r_fails_next;
    host_aw_valid <= host_aw_valid_next;
    host_w_valid <= host_w_valid_next;
    host_b_ready <= host_b_ready_next;
    host_ar_valid <= host_ar_valid_next;
    host_r_ready <= host_r_ready_next;
    host_addr <= host_addr_next;
    host_data <= host_data_next;
    launch_done <= launch_done_next;
  end
endmodule
