// Sequencer of the testbench of the core behind AXI: an AXI4 memory on every memory port, and a
// host that runs the list of passes of a launch through the registers, as a driver does. If the
// core is a machine, whose registers have stops, Python is the host at these.
//
// Answers come in the order of the commands, with the latencies and pauses of `MemoryPort`. What
// the array offers is checked against the AXI4 protocol at every edge. The host's accesses
// follow one another; it is always ready for their answers.

#include <array>
#include <coroutine>
#include <cstdlib>
#include <cstring>
#include <tuple>

#include "gscn_registers.h"
#include "memory.h"

namespace {

constexpr unsigned kAccessCycles = 1000;  // limit for the answer to an access of a register
constexpr uint64_t kPageBytes = 4096;     // no burst crosses a multiple of it
constexpr unsigned kBurstIncr = 1;

// -- host

// A coroutine that runs until it waits for an access, for the interrupt or for some cycles.
struct Host {
  struct promise_type {
    Host get_return_object() {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::abort(); }
  };
  std::coroutine_handle<promise_type> handle;
};

struct Wait {
  enum Kind { kWrite, kRead, kInterrupt, kCycles, kAnswer } kind;
  uint32_t offset = 0;  // of kWrite, kRead: register; of kCycles: their number
  uint32_t data = 0;    // written, or the answer

  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<>);
  uint32_t await_resume() const { return data; }
};

struct HostPort {
  Wait* wait = nullptr;
  unsigned cycles = 0;  // since the wait began
  bool aw = false, w = false, ar = false;  // offered
  bool b = false, r = false;               // answer expected
  bool told = false;                       // Python knows of the stop
};

// What a port was told at the edge before, and answers not taken yet.
struct PortState {
  bool aw_ready = false, w_ready = false, ar_ready = false;
  bool b_valid = false, r_valid = false, r_last = false, r_fails = false;
  uint32_t b_id = 0, r_id = 0;
  std::array<uint8_t, kBeatBytes> r_data{};
};

struct Sequencer {
  Host host;
  HostPort port;
  bool quiet = false;    // nothing must be offered to memory any more
  bool aborted = false;  // the host has decided to abort
  std::vector<PortState> ports;
} seq;

void Wait::await_suspend(std::coroutine_handle<>) {
  seq.port = HostPort();
  seq.port.wait = this;
  seq.port.aw = seq.port.w = seq.port.b = kind == kWrite;
  seq.port.ar = seq.port.r = kind == kRead;
}

Wait write(uint32_t offset, uint32_t data) { return {Wait::kWrite, offset, data}; }
Wait read(uint32_t offset) { return {Wait::kRead, offset}; }

// Whether the host should abort the launch now.
bool is_time_to_abort() {
  return tb.abort_cycle != 0 && !seq.aborted && tb.cycle >= tb.abort_cycle;
}

// Whether an error leaves counters as they were: a start that is refused resets nothing.
bool is_refused_start(uint32_t code) {
  return code == GSCN_ERROR_CODE_START_BUSY || code == GSCN_ERROR_CODE_START_ADDRESS ||
         code == GSCN_ERROR_CODE_START_PASSES;
}

// The registers say whether the core is a machine.
#ifdef GSCN_STOP_OFFSET
constexpr uint32_t kStop = GSCN_INTERRUPT_STATUS_STOP_MASK;
constexpr uint32_t kPlaceBytes = 256;  // ERROR_PASS counts such
#else
constexpr uint32_t kStop = 0;
#endif

Host run_launch() {
  constexpr uint32_t kDone = GSCN_INTERRUPT_STATUS_DONE_MASK;
  constexpr uint32_t kFailed = GSCN_INTERRUPT_STATUS_ERROR_MASK;
  co_await write(GSCN_INTERRUPT_ENABLE_OFFSET, kDone | kFailed | kStop);
#ifdef GSCN_STOP_OFFSET
  co_await write(GSCN_LIST_FIRST_LO_OFFSET, uint32_t(tb.list_addr));
  co_await write(GSCN_LIST_FIRST_HI_OFFSET, uint32_t(tb.list_addr >> 32));
  co_await write(GSCN_LIST_ORDER_OFFSET, tb.list_together);
#endif
  co_await write(GSCN_PASSES_ADDR_LO_OFFSET, uint32_t(tb.list_addr));
  co_await write(GSCN_PASSES_ADDR_HI_OFFSET, uint32_t(tb.list_addr >> 32));
  co_await write(GSCN_PASS_COUNT_OFFSET, tb.list_count);
  co_await write(GSCN_CONTROL_OFFSET, GSCN_CONTROL_START_MASK);
  // The end is STATUS.busy = 0: an overflow interrupts too, in the middle of a pass or while an
  // error, which ERROR tells already, is stopping it.
  for (bool busy = true; busy && tb.status == kOk;) {
    co_await Wait{Wait::kInterrupt};
    if (tb.status != kOk) break;
    if (is_time_to_abort()) {
      // the list may end meanwhile: then this has no effect
      seq.aborted = true;
      co_await write(GSCN_CONTROL_OFFSET, GSCN_CONTROL_ABORT_MASK);
      continue;
    }
    uint32_t events = co_await read(GSCN_INTERRUPT_STATUS_OFFSET);
    co_await write(GSCN_INTERRUPT_STATUS_OFFSET, events);
#ifdef GSCN_STOP_OFFSET
    if (events & kStop) {
      tb.stop = co_await read(GSCN_STOP_OFFSET);
      if (tb.stop == 0) tb.fail(kError, "STOP must not be 0 after the interrupt that says stop");
      co_await Wait{Wait::kAnswer};
      uint32_t answer = GSCN_CONTROL_ANSWER_MASK;
      if (tb.answer_addr != 0) {
        co_await write(GSCN_ANSWER_ADDR_LO_OFFSET, uint32_t(tb.answer_addr));
        co_await write(GSCN_ANSWER_ADDR_HI_OFFSET, uint32_t(tb.answer_addr >> 32));
        answer |= GSCN_CONTROL_ANEW_MASK;
      }
      co_await write(GSCN_CONTROL_OFFSET, answer);
    }
#endif
    busy = co_await read(GSCN_STATUS_OFFSET) & GSCN_STATUS_BUSY_MASK;
    if (busy && events & kDone) {
      tb.fail(kError, "STATUS.busy must be 0 after the interrupt that says done");
    }
    if (busy) continue;
    if (!tb.memory_is_idle()) tb.fail(kError, "a list must end after its last burst");
    // The event of the end may have come after those that were read.
    const uint32_t late = co_await read(GSCN_INTERRUPT_STATUS_OFFSET);
    co_await write(GSCN_INTERRUPT_STATUS_OFFSET, late);
    events |= late;
    tb.error_code = co_await read(GSCN_ERROR_OFFSET);
    if (!(events & (tb.error_code == 0 ? kDone : kFailed))) {
      tb.fail(kError, "the end of a list must have its event, not events %u with ERROR %u", events,
              tb.error_code);
    }
  }
  seq.quiet = tb.status == kOk;
  const uint32_t status = co_await read(GSCN_STATUS_OFFSET);
  tb.flags = (status & GSCN_STATUS_SATURATED_MASK ? 1 : 0) |
             (status & GSCN_STATUS_ACCUMULATOR_OVERFLOW_MASK ? 2 : 0) |
             (status & GSCN_STATUS_NONFINITE_MASK ? 4 : 0);
  tb.error_pass = co_await read(GSCN_ERROR_PASS_OFFSET);
#ifdef GSCN_STOP_OFFSET
  if (tb.error_pass != kNoPass) tb.error_pass = tb.list_addr + kPlaceBytes * tb.error_pass;
  for (unsigned queue = 0; queue < 2 && tb.records != nullptr; ++queue) {
    const uint32_t offset =
        queue == 0 ? GSCN_RECORD_ENCODE_LO_OFFSET : GSCN_RECORD_ARRAY_LO_OFFSET;
    const uint64_t low = co_await read(offset);
    tb.records[queue] = low | uint64_t(co_await read(offset + 4)) << 32;
  }
#endif
  if (tb.error_code != 0 && !tb.faulty) {
    tb.fail(kError, "ERROR.code must be 0, not %u for pass %u", tb.error_code, tb.error_pass);
  }
  if (status & GSCN_STATUS_BUSY_MASK) tb.fail(kError, "STATUS.busy must be 0 after a list");
  if (!(status & GSCN_STATUS_DONE_MASK) == (tb.error_code == 0)) {
    tb.fail(kError, "STATUS.done must be 1 after a list, and 0 after an error");
  }
#ifdef GSCN_PASS_OFFSET
  if (tb.error_code == 0) {
    const uint32_t last = co_await read(GSCN_PASS_OFFSET);
    if (last != tb.list_count - 1) {
      tb.fail(kError, "PASS must be %u after the last one, not %u", tb.list_count - 1, last);
    }
  }
#endif
  if (tb.error_code != 0 && !is_refused_start(tb.error_code)) {
    tb.counters_before.assign(tb.counter_count, 0);
  }
  for (unsigned index = 0; index < tb.counter_count; ++index) {
    co_await write(GSCN_COUNTER_SELECT_OFFSET, index);
    const uint64_t low = co_await read(GSCN_COUNTER_LO_OFFSET);
    const uint64_t high = co_await read(GSCN_COUNTER_HI_OFFSET);
    tb.counters[index] = (low | high << 32) - tb.counters_before[index];
  }
  // What the core itself has counted: from outside, the cycles of its work cannot be seen.
  tb.busy_cycles = tb.counters.back();
  co_await Wait{Wait::kCycles, kQuietCycles};
  tb.state = State::kDone;
}

// -- memory

MemoryPort::Command command_of(const char* kind, uint64_t addr, uint64_t rest, bool* good) {
  const unsigned beats = (rest & 0xff) + 1, size = rest >> 8 & 7, burst = rest >> 11 & 3;
  const uint64_t bytes = uint64_t(beats) * tb.beat_bytes;
  *good = false;
  if (1u << size != tb.beat_bytes) {
    tb.fail(kError, "%s burst at 0x%" PRIx64 " must have beats of %u bytes, not %u", kind, addr,
            tb.beat_bytes, 1u << size);
  } else if (burst != kBurstIncr) {
    tb.fail(kError, "%s burst at 0x%" PRIx64 " must be incrementing (1), not %u", kind, addr,
            burst);
  } else if (rest >> 13 & 1) {
    tb.fail(kError, "%s burst at 0x%" PRIx64 " must not be locked", kind, addr);
  } else if (addr / kPageBytes != (addr + bytes - 1) / kPageBytes) {
    tb.fail(kError, "%s burst of %u beats at 0x%" PRIx64 " must not cross a multiple of 4096",
            kind, beats, addr);
  } else {
    *good = true;
  }
  return {addr, beats, uint32_t(rest >> 32)};
}

}  // namespace

void reset_sequencer() {
  if (seq.host.handle) seq.host.handle.destroy();
  seq = Sequencer();
  seq.ports.resize(tb.ports.size());
}

extern "C" {

// Vectors hold one entry per port, masks one bit: see testbench_axi.sv.
void gscn_axi_cycle(svBit host_interrupt, uint32_t aw_valid, const svBitVecVal* aw_addr,
                    const svBitVecVal* aw_rest, uint32_t w_valid, const svBitVecVal* w_data,
                    const svBitVecVal* w_strobe, uint32_t w_last, uint32_t b_ready,
                    uint32_t ar_valid, const svBitVecVal* ar_addr, const svBitVecVal* ar_rest,
                    uint32_t r_ready, svBit host_aw_ready, svBit host_w_ready, svBit host_b_valid,
                    uint32_t host_b_resp, svBit host_ar_ready, svBit host_r_valid,
                    uint32_t host_r_data, uint32_t host_r_resp, svBit* rst, uint32_t* aw_ready,
                    uint32_t* w_ready, uint32_t* b_valid, svBitVecVal* b_id, uint32_t* ar_ready,
                    uint32_t* r_valid, svBitVecVal* r_id, svBitVecVal* r_data, uint32_t* r_last, uint32_t* r_fails,
                    svBit* host_aw_valid, svBit* host_w_valid, svBit* host_b_ready,
                    svBit* host_ar_valid, svBit* host_r_ready, uint32_t* host_addr,
                    uint32_t* host_data, svBit* launch_done) {
  *aw_ready = *w_ready = *b_valid = *ar_ready = *r_valid = *r_last = *r_fails = 0;
  *host_aw_valid = *host_w_valid = *host_b_ready = *host_ar_valid = *host_r_ready = 0;
  *host_addr = *host_data = 0;
  if (!tb.begin_edge(rst, launch_done)) return;

  for (size_t index = 0; index < tb.ports.size(); ++index) {
    MemoryPort& port = tb.ports[index];
    PortState& state = seq.ports[index];
    const bool writes = aw_valid >> index & 1, sends = w_valid >> index & 1;
    const bool reads = ar_valid >> index & 1;
    const uint64_t write_offer[] = {word64(aw_addr, index), word64(aw_rest, index)};
    const uint64_t read_offer[] = {word64(ar_addr, index), word64(ar_rest, index)};
    struct {
      uint8_t data[kBeatBytes];
      uint64_t strobe;
      uint64_t last;
    } beat{};
    if (sends) {
      auto from = reinterpret_cast<const uint8_t*>(w_data) + index * tb.beat_bytes;
      std::copy(from, from + tb.beat_bytes, beat.data);
      beat.strobe = word64(w_strobe, index);
      beat.last = w_last >> index & 1;
    }
    port.check_held(kReadCmd, "AR", reads, state.ar_ready, read_offer, sizeof read_offer);
    port.check_held(kWriteCmd, "AW", writes, state.aw_ready, write_offer, sizeof write_offer);
    port.check_held(kWriteData, "W", sends, state.w_ready, &beat, sizeof beat);
    if (state.b_valid && b_ready >> index & 1) state.b_valid = false;
    if (state.r_valid && r_ready >> index & 1) state.r_valid = false;

    // Write channels: accept, join beats with their commands, store, answer.
    bool good;
    if (writes && state.aw_ready) {
      const auto command = command_of("write", write_offer[0], write_offer[1], &good);
      if (good) port.accept_write(command);
    }
    if (sends && state.w_ready) port.accept_beat(beat.data, beat.strobe, beat.last);
    port.join_writes(true);
    if (!state.b_valid) state.b_valid = port.next_done(&state.b_id);
    state.aw_ready = port.takes_writes();
    state.w_ready = port.takes_beats();

    // Read channels.
    if (reads && state.ar_ready) {
      const auto command = command_of("read", read_offer[0], read_offer[1], &good);
      if (good) port.accept_read(command);
    }
    if (!state.r_valid) {
      state.r_valid =
          port.next_beat(state.r_data.data(), &state.r_last, &state.r_id, &state.r_fails);
    }
    state.ar_ready = port.takes_reads();

    *aw_ready |= uint32_t(state.aw_ready) << index;
    *w_ready |= uint32_t(state.w_ready) << index;
    *b_valid |= uint32_t(state.b_valid) << index;
    *ar_ready |= uint32_t(state.ar_ready) << index;
    *r_valid |= uint32_t(state.r_valid) << index;
    *r_last |= uint32_t(state.r_last) << index;
    *r_fails |= uint32_t(state.r_fails) << index;
    b_id[index] = state.b_id;
    r_id[index] = state.r_id;
    memcpy(reinterpret_cast<uint8_t*>(r_data) + index * tb.beat_bytes, state.r_data.data(),
           tb.beat_bytes);
  }
  if (seq.quiet && tb.status == kOk && (aw_valid || w_valid || ar_valid)) {
    tb.fail(kError, "the array must be silent after the last pass");
  }

  // The host: what it offered was seen at this edge.
  HostPort& host = seq.port;
  if (!seq.host.handle) {
    seq.host = run_launch();
    seq.host.handle.resume();
  } else {
    ++host.cycles;
    bool ends = false;
    if (host.aw && host_aw_ready) host.aw = false;
    if (host.w && host_w_ready) host.w = false;
    if (host.ar && host_ar_ready) host.ar = false;
    for (const auto& [name, valid, expected, resp] :
         {std::tuple{"B", host_b_valid, host.b && !host.aw && !host.w, host_b_resp},
          std::tuple{"R", host_r_valid, host.r && !host.ar, host_r_resp}}) {
      if (!valid) continue;
      ends = true;
      if (!expected) tb.fail(kError, "a register's answer (%s) must follow an access", name);
      if (resp) {
        tb.fail(kError, "the access of register 0x%03x must be answered with OKAY, not %u",
                host.wait->offset, resp);
      }
    }
    if (host_r_valid) host.wait->data = host_r_data;
    if (host.wait->kind == Wait::kInterrupt) {
      ends = host_interrupt || tb.status != kOk || is_time_to_abort();
    }
    if (host.wait->kind == Wait::kCycles) ends = host.cycles >= host.wait->offset;
    if (host.wait->kind == Wait::kAnswer) {
      ends = tb.answered;
      *launch_done = !host.told;  // for one cycle, in which Python acts and answers
      host.told = true;
      if (ends) tb.answered = false;
    }
    if (!ends && (host.b || host.r) && host.cycles >= kAccessCycles) {
      tb.fail(kError, "the access of register 0x%03x must be answered within %u cycles",
              host.wait->offset, kAccessCycles);
      tb.state = State::kDone;
      return;
    }
    if (ends) seq.host.handle.resume();
  }
  if (tb.state == State::kDone) return;
  if (!seq.quiet) tb.check_time("no interrupt says so");
  *host_aw_valid = host.aw;
  *host_w_valid = host.w;
  *host_ar_valid = host.ar;
  *host_b_ready = host.b;
  *host_r_ready = host.r;
  *host_addr = host.wait->offset;
  *host_data = host.wait->data;
}

}  // extern "C"
