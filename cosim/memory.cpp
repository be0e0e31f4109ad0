// Cycle-accurate memory and launch sequencer of the testbench.
//
// The SystemVerilog testbench calls gscn_cycle once per rising clock edge with the values that the
// accelerator's outputs have at that edge; what it returns is registered there and reaches the
// accelerator at the next edge. Python loads memory, starts a launch and reads results through the
// other functions, between edges.
//
// Reads: the first beat of a command accepted at edge t is taken by the accelerator at edge
// t + latency at the earliest, then one beat per cycle, in the order of the commands.
// Writes: a burst becomes visible in memory when its completion is reported, write_latency cycles
// after its last beat was accepted at the earliest; a core that ends before that loses the data.
// Every channel can stall at random.

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "svdpi.h"

namespace {

constexpr unsigned kAlignment = 64;       // bytes; memory ends on a multiple of the widest beat
constexpr size_t kCommandsInFlight = 64;  // per direction; beyond that commands are not accepted
constexpr size_t kBeatsAhead = 16;        // write beats accepted before their command
constexpr unsigned kResetCycles = 4;
constexpr unsigned kQuietCycles = 64;  // after the last phase the memory channels must be silent
constexpr unsigned kCounterDelay = 3;  // edges from returning counter_addr to its counter_data

enum class State { kIdle, kReset, kStart, kAccepted, kRun, kCounters, kDone };
enum Channel { kReadCmd, kReadData, kWriteCmd, kWriteData, kWriteDone, kChannels };

enum Status : uint32_t { kOk = 0, kTimeout = 1, kError = 2 };

struct Phase {
  uint64_t queue_addr;
  uint64_t job_count;
};

struct Read {
  uint64_t addr;
  unsigned beats;
  uint64_t first_cycle;  // earliest edge at which the accelerator takes the first beat
};

struct WriteCommand {
  uint64_t addr;
  unsigned beats;
};

struct Beat {
  std::vector<uint8_t> data;
  uint64_t strobe;
};

struct Burst {  // all beats accepted, not yet stored
  uint64_t addr;
  std::vector<Beat> beats;
  uint64_t done_cycle;  // earliest edge at which the accelerator sees the completion
};

// Last offer of one of the accelerator's valid/ready channels, to check that it is held.
struct Offer {
  bool pending = false;
  std::vector<uint8_t> payload;
};

struct Testbench {
  // Set by Python.
  unsigned beat_bytes = 0;
  unsigned burst_beats = 0;
  unsigned counter_count = 0;
  uint64_t latency = 2;
  uint64_t write_latency = 2;
  uint64_t timeout_cycles = 0;
  uint64_t stall_threshold[kChannels] = {};  // stall if a random 32-bit number is below it
  uint64_t random_state = 1;
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> written;  // 1 where a strobed byte was stored
  uint64_t memory_bytes = 0;     // writes must stay below; `bytes` is rounded up for whole beats
  std::vector<Phase> phases;

  // Launch.
  State state = State::kIdle;
  Status status = kOk;
  std::string error;
  size_t phase = 0;
  unsigned countdown = 0;
  unsigned quiet = 0;
  bool start_offered = false;
  unsigned counter_issued = 0;
  std::deque<std::pair<uint64_t, unsigned>> counter_reads;  // (edge at which valid, index)
  std::vector<uint64_t> counters;
  uint64_t cycle = 0;  // edges since the launch left reset
  uint64_t busy_cycles = 0;
  uint64_t edges = 0;  // edges since the program started
  uint32_t flags = 0;

  // Memory channels.
  std::deque<Read> reads;
  unsigned beat = 0;  // next beat of reads.front()
  std::deque<WriteCommand> write_commands;
  std::deque<Beat> write_beats;
  std::deque<Burst> bursts;
  bool ready[kChannels] = {};  // what was returned at the previous edge
  Offer offers[3];
  uint64_t read_beats = 0;
  uint64_t write_beats_stored = 0;
  uint64_t first_written = UINT64_MAX;
  uint64_t last_written = 0;

  bool stall(Channel channel) {
    if (stall_threshold[channel] == 0) return false;
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 32) < stall_threshold[channel];
  }

  void fail(Status why, const char* format, ...) __attribute__((format(printf, 3, 4))) {
    if (status != kOk) return;  // the first error is the cause of the others
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    status = why;
    error = text;
    error += " (cycle " + std::to_string(cycle) + ", phase " + std::to_string(phase) + ")";
  }

  void clear_channels() {
    reads.clear();
    beat = 0;
    write_commands.clear();
    write_beats.clear();
    bursts.clear();
    std::fill(std::begin(ready), std::end(ready), false);
    for (Offer& offer : offers) offer = Offer();
  }

  bool command_is_good(const char* kind, uint64_t addr, unsigned beats) {
    if (beats < 1 || beats > burst_beats) {
      fail(kError, "%s burst at 0x%" PRIx64 " must have 1 to %u beats, not %u", kind, addr,
           burst_beats, beats);
    } else if (addr % beat_bytes != 0) {
      fail(kError, "%s address must be a multiple of %u, not 0x%" PRIx64, kind, beat_bytes, addr);
    } else if (addr > bytes.size() || uint64_t(beats) * beat_bytes > bytes.size() - addr) {
      fail(kError, "%s burst of %u beats at 0x%" PRIx64 " must end within the memory of %zu bytes",
           kind, beats, addr, bytes.size());
    } else {
      return true;
    }
    return false;
  }

  // An offer, once made, must be held unchanged until it is accepted.
  void check_held(Channel channel, const char* name, bool valid, const void* payload, size_t size) {
    Offer& offer = offers[channel == kReadCmd ? 0 : channel == kWriteCmd ? 1 : 2];
    if (offer.pending && (!valid || memcmp(offer.payload.data(), payload, size) != 0)) {
      fail(kError, "%s must be held until it is accepted, but was %s", name,
           valid ? "changed" : "withdrawn");
    }
    offer.pending = valid && !ready[channel];
    if (offer.pending) {
      auto from = static_cast<const uint8_t*>(payload);
      offer.payload.assign(from, from + size);
    }
  }

  void store(const Burst& burst) {
    uint64_t base = burst.addr;
    for (const Beat& stored : burst.beats) {
      for (unsigned byte = 0; byte < beat_bytes; ++byte) {
        if (!(stored.strobe >> byte & 1)) continue;
        uint64_t addr = base + byte;
        if (addr >= memory_bytes) {
          fail(kError, "written byte 0x%" PRIx64 " must be within the memory of %" PRIu64 " bytes",
               addr, memory_bytes);
          return;
        }
        bytes[addr] = stored.data[byte];
        written[addr] = 1;
        first_written = std::min(first_written, addr);
        last_written = std::max(last_written, addr);
      }
      base += beat_bytes;
      ++write_beats_stored;
    }
  }

  bool memory_is_idle() const {
    return reads.empty() && write_commands.empty() && write_beats.empty() && bursts.empty();
  }
};

Testbench tb;

}  // namespace

extern "C" {

// Describe the accelerator; once per process. beat_bytes is at most 64.
void gscn_setup(uint32_t beat_bytes, uint32_t burst_beats, uint32_t counter_count) {
  tb.beat_bytes = beat_bytes;
  tb.burst_beats = burst_beats;
  tb.counter_count = counter_count;
}

// Make a memory of memory_bytes that begins with the image and is filled up with `fill`.
void gscn_load(const uint8_t* image, uint64_t image_bytes, uint64_t memory_bytes, uint8_t fill) {
  uint64_t size = (memory_bytes + kAlignment - 1) / kAlignment * kAlignment;
  tb.memory_bytes = memory_bytes;
  tb.bytes.assign(size, fill);
  std::copy(image, image + image_bytes, tb.bytes.begin());
  tb.written.assign(size, 0);
}

// Start a launch. phases holds (queue_addr, job_count) pairs; stalls a probability per channel.
void gscn_launch(const uint64_t* phases, uint64_t phase_count, uint64_t latency,
                 uint64_t write_latency, const double* stalls, uint64_t seed,
                 uint64_t timeout_cycles) {
  tb.phases.clear();
  for (uint64_t index = 0; index < phase_count; ++index) {
    tb.phases.push_back({phases[2 * index], phases[2 * index + 1]});
  }
  tb.latency = latency;
  tb.write_latency = write_latency;
  for (int channel = 0; channel < kChannels; ++channel) {
    tb.stall_threshold[channel] = static_cast<uint64_t>(stalls[channel] * 4294967296.0);
  }
  // Spread small seeds over all bits; xorshift must not start at zero.
  tb.random_state = (seed + 1) * 0x9E3779B97F4A7C15ull | 1;
  tb.timeout_cycles = timeout_cycles;
  tb.status = kOk;
  tb.error.clear();
  tb.phase = 0;
  tb.counter_issued = 0;
  tb.counter_reads.clear();
  tb.counters.assign(tb.counter_count, 0);
  tb.cycle = tb.busy_cycles = tb.read_beats = tb.write_beats_stored = 0;
  tb.first_written = UINT64_MAX;
  tb.last_written = 0;
  tb.flags = 0;
  tb.clear_channels();
  tb.countdown = kResetCycles;
  tb.quiet = 0;
  tb.start_offered = false;
  tb.state = State::kReset;
}

const uint8_t* gscn_bytes() { return tb.bytes.data(); }
const uint8_t* gscn_written() { return tb.written.data(); }
const uint64_t* gscn_counters() { return tb.counters.data(); }
const char* gscn_error() { return tb.error.c_str(); }
uint32_t gscn_status() { return tb.status; }
uint32_t gscn_flags() { return tb.flags; }  // saturated, accumulator_overflow, address_error
uint64_t gscn_busy_cycles() { return tb.busy_cycles; }
uint64_t gscn_edges() { return tb.edges; }
uint64_t gscn_read_beats() { return tb.read_beats; }
uint64_t gscn_write_beats() { return tb.write_beats_stored; }
uint64_t gscn_first_written() { return tb.first_written; }
uint64_t gscn_last_written() { return tb.last_written; }

void gscn_cycle(svBit start_ready, svBit busy, svBit saturated, svBit accumulator_overflow,
                svBit address_error, uint64_t counter_data, svBit read_cmd_valid,
                uint64_t read_cmd_addr, uint32_t read_cmd_beats, svBit write_cmd_valid,
                uint64_t write_cmd_addr, uint32_t write_cmd_beats, svBit write_data_valid,
                const svBitVecVal* write_data, uint64_t write_strobe, svBit* rst,
                svBit* start_valid, uint64_t* start_queue_addr, uint32_t* start_job_count,
                uint32_t* counter_addr, svBit* read_cmd_ready, svBit* read_data_valid,
                svBitVecVal* read_data, svBit* write_cmd_ready, svBit* write_data_ready,
                svBit* write_done, svBit* launch_done) {
  ++tb.edges;
  *rst = 0;
  *start_valid = 0;
  *start_queue_addr = 0;
  *start_job_count = 0;
  *counter_addr = 0;
  *read_cmd_ready = *read_data_valid = 0;
  *write_cmd_ready = *write_data_ready = *write_done = 0;
  *launch_done = 0;

  switch (tb.state) {
    case State::kIdle:
    case State::kDone:
      *rst = tb.state == State::kIdle;
      *launch_done = tb.state == State::kDone;
      return;
    case State::kReset:
      *rst = tb.countdown != 0;
      // One more edge passes with reset released before the accelerator's outputs are looked at.
      if (tb.countdown-- == 0) {
        tb.state = tb.phases.empty() ? State::kCounters : State::kStart;
      }
      return;
    default:
      break;
  }

  ++tb.cycle;
  tb.busy_cycles += busy;
  tb.flags = saturated | accumulator_overflow << 1 | address_error << 2;

  // Write channels: accept, join beats with their commands, store, report.
  struct {
    uint64_t addr;
    uint64_t beats;
  } read_offer{read_cmd_addr, read_cmd_beats}, write_offer{write_cmd_addr, write_cmd_beats};
  tb.check_held(kReadCmd, "read command", read_cmd_valid, &read_offer, sizeof read_offer);
  tb.check_held(kWriteCmd, "write command", write_cmd_valid, &write_offer, sizeof write_offer);
  tb.check_held(kWriteData, "write data", write_data_valid, write_data, tb.beat_bytes);

  if (write_cmd_valid && tb.ready[kWriteCmd] &&
      tb.command_is_good("write", write_cmd_addr, write_cmd_beats)) {
    tb.write_commands.push_back({write_cmd_addr, write_cmd_beats});
  }
  if (write_data_valid && tb.ready[kWriteData]) {
    auto from = reinterpret_cast<const uint8_t*>(write_data);
    tb.write_beats.push_back({{from, from + tb.beat_bytes}, write_strobe});
  }
  while (!tb.write_commands.empty() && tb.write_beats.size() >= tb.write_commands.front().beats) {
    const WriteCommand command = tb.write_commands.front();
    tb.write_commands.pop_front();
    auto end = tb.write_beats.begin() + command.beats;
    tb.bursts.push_back(
        {command.addr, {tb.write_beats.begin(), end}, tb.cycle + tb.write_latency});
    tb.write_beats.erase(tb.write_beats.begin(), end);
  }
  if (!tb.bursts.empty() && tb.bursts.front().done_cycle <= tb.cycle + 1 &&
      !tb.stall(kWriteDone)) {
    tb.store(tb.bursts.front());
    tb.bursts.pop_front();
    *write_done = 1;
  }
  size_t expected_beats = 0;
  for (const WriteCommand& command : tb.write_commands) expected_beats += command.beats;
  *write_cmd_ready = tb.write_commands.size() < kCommandsInFlight && !tb.stall(kWriteCmd);
  *write_data_ready =
      tb.write_beats.size() < expected_beats + kBeatsAhead && !tb.stall(kWriteData);

  // Read channels.
  if (read_cmd_valid && tb.ready[kReadCmd] &&
      tb.command_is_good("read", read_cmd_addr, read_cmd_beats)) {
    tb.reads.push_back({read_cmd_addr, read_cmd_beats, tb.cycle + tb.latency});
  }
  if (!tb.reads.empty() && tb.reads.front().first_cycle <= tb.cycle + 1 &&
      !tb.stall(kReadData)) {
    const Read& read = tb.reads.front();
    memcpy(read_data, &tb.bytes[read.addr + uint64_t(tb.beat) * tb.beat_bytes], tb.beat_bytes);
    *read_data_valid = 1;
    ++tb.read_beats;
    if (++tb.beat == read.beats) {
      tb.reads.pop_front();
      tb.beat = 0;
    }
  }
  *read_cmd_ready = tb.reads.size() < kCommandsInFlight && !tb.stall(kReadCmd);

  tb.ready[kReadCmd] = *read_cmd_ready;
  tb.ready[kWriteCmd] = *write_cmd_ready;
  tb.ready[kWriteData] = *write_data_ready;

  // Sequencer. start_valid, as any output, is seen by the accelerator one edge later.
  if (tb.state == State::kStart) {
    if (busy) tb.fail(kError, "busy must be low before a phase is started");
    if (tb.start_offered && start_ready) {
      tb.start_offered = false;
      tb.state = State::kAccepted;
    } else {
      tb.start_offered = true;
      *start_valid = 1;
      *start_queue_addr = tb.phases[tb.phase].queue_addr;
      *start_job_count = static_cast<uint32_t>(tb.phases[tb.phase].job_count);
    }
  } else if (tb.state == State::kAccepted) {
    if (!busy) tb.fail(kError, "busy must be high in the cycle after a start is accepted");
    tb.state = State::kRun;
  } else if (tb.state == State::kRun && !busy) {
    if (!tb.memory_is_idle()) {
      tb.fail(kError, "busy must stay high until memory has completed %zu reads and %zu writes",
              tb.reads.size(), tb.write_commands.size() + tb.bursts.size());
    }
    tb.state = ++tb.phase < tb.phases.size() ? State::kStart : State::kCounters;
  } else if (tb.state == State::kCounters) {
    if (tb.status == kOk && (busy || read_cmd_valid || write_cmd_valid || write_data_valid)) {
      tb.fail(kError, "the accelerator must be silent after the last phase");
    }
    ++tb.quiet;
    if (!tb.counter_reads.empty() && tb.counter_reads.front().first == tb.cycle) {
      tb.counters[tb.counter_reads.front().second] = counter_data;
      tb.counter_reads.pop_front();
    }
    if (tb.counter_issued < tb.counter_count) {
      *counter_addr = tb.counter_issued;
      tb.counter_reads.push_back({tb.cycle + kCounterDelay, tb.counter_issued});
      ++tb.counter_issued;
    } else if (tb.counter_reads.empty() && tb.quiet >= kQuietCycles) {
      if (tb.status == kOk && tb.counters.back() != tb.busy_cycles) {
        tb.fail(kError, "the counter of busy cycles must be %" PRIu64 ", not %" PRIu64,
                tb.busy_cycles, tb.counters.back());
      }
      tb.state = State::kDone;
    }
  }

  if (tb.state != State::kCounters && tb.state != State::kDone) {
    if (tb.cycle >= tb.timeout_cycles) {
      tb.fail(kTimeout, "not done after %" PRIu64 " cycles: %s", tb.timeout_cycles,
              tb.state == State::kStart ? "start is not accepted" : "busy stays high");
    }
    if (tb.status != kOk) {
      tb.start_offered = false;
      tb.state = State::kCounters;
    }
  }
}

}  // extern "C"
