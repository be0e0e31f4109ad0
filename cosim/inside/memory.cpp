// Cycle-accurate memory of the testbench, and the functions by which Python loads memory, starts a
// launch and reads its outcome, between edges.

#include "memory.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

Testbench tb;

namespace {
constexpr unsigned kResetCycles = 4;
constexpr uint8_t kOutside = 0xff;  // what a read outside memory returns
}  // namespace

bool MemoryPort::is_good(const char* kind, const Command& command) const {
  const uint64_t addr = command.addr;
  if (command.beats < 1 || command.beats > tb.burst_beats) {
    tb.fail(kError, "%s burst at 0x%" PRIx64 " must have 1 to %u beats, not %u", kind, addr,
            tb.burst_beats, command.beats);
  } else if (addr % tb.beat_bytes != 0) {
    tb.fail(kError, "%s address must be a multiple of %u, not 0x%" PRIx64, kind, tb.beat_bytes,
            addr);
  } else if (tb.place_of(addr, uint64_t(command.beats) * tb.beat_bytes) == kNowhere) {
    tb.fail(kError, "%s burst of %u beats at 0x%" PRIx64 " must end within the memory of %zu bytes",
            kind, command.beats, addr, tb.bytes.size());
  } else {
    return true;
  }
  return false;
}

bool MemoryPort::accept_read(const Command& command) {
  if (!tb.faulty && !is_good("read", command)) return false;
  reads_.push_back({command, tb.cycle + tb.latency});
  return true;
}

bool MemoryPort::accept_write(const Command& command) {
  if (!is_good("write", command)) return false;
  write_commands_.push_back(command);
  return true;
}

void MemoryPort::accept_beat(const uint8_t* data, uint64_t strobe, bool last) {
  write_beats_.push_back({{data, data + tb.beat_bytes}, strobe, last});
}

void MemoryPort::join_writes(bool beats_say_last) {
  while (!write_commands_.empty() && write_beats_.size() >= write_commands_.front().beats) {
    const Command command = write_commands_.front();
    write_commands_.pop_front();
    auto end = write_beats_.begin() + command.beats;
    for (auto beat = write_beats_.begin(); beats_say_last && beat != end; ++beat) {
      if (beat->last != (beat + 1 == end)) {
        tb.fail(kError, "wlast must be %d at beat %d of the %u written at 0x%" PRIx64,
                beat + 1 == end, int(beat - write_beats_.begin()), command.beats, command.addr);
      }
    }
    bursts_.push_back({command, {write_beats_.begin(), end}, tb.cycle + tb.write_latency});
    write_beats_.erase(write_beats_.begin(), end);
  }
}

void MemoryPort::store(const Burst& burst) const {
  uint64_t base = burst.command.addr;
  uint64_t place = tb.place_of(base, burst.beats.size() * tb.beat_bytes);
  for (const Beat& stored : burst.beats) {
    for (unsigned byte = 0; byte < tb.beat_bytes; ++byte) {
      if (!(stored.strobe >> byte & 1)) continue;
      if (place + byte >= tb.memory_bytes) {
        tb.fail(kError,
                "written byte 0x%" PRIx64 " must be within the memory of %" PRIu64 " bytes",
                base + byte, tb.memory_bytes);
        return;
      }
      tb.bytes[place + byte] = stored.data[byte];
      tb.written[place + byte] = 1;
    }
    base += tb.beat_bytes;
    place += tb.beat_bytes;
    ++tb.write_beats;
  }
}

bool MemoryPort::next_done(uint32_t* id) {
  if (bursts_.empty() || bursts_.front().done_cycle > tb.cycle + 1 || tb.stall(kWriteDone)) {
    return false;
  }
  store(bursts_.front());
  *id = bursts_.front().command.id;
  bursts_.pop_front();
  return true;
}

bool MemoryPort::next_beat(uint8_t* data, bool* last, uint32_t* id, bool* fails) {
  if (reads_.empty() || reads_.front().first_cycle > tb.cycle + 1 || tb.stall(kReadData)) {
    return false;
  }
  const Command& command = reads_.front().command;
  const uint64_t place =
      tb.place_of(command.addr + uint64_t(beat_) * tb.beat_bytes, tb.beat_bytes);
  *fails = place == kNowhere;
  if (*fails) {
    std::fill(data, data + tb.beat_bytes, kOutside);
  } else {
    memcpy(data, &tb.bytes[place], tb.beat_bytes);
  }
  *id = command.id;
  ++tb.read_beats;
  *last = ++beat_ == command.beats;
  if (*last) {
    reads_.pop_front();
    beat_ = 0;
  }
  return true;
}

bool MemoryPort::takes_writes() {
  return write_commands_.size() < kCommandsInFlight && !tb.stall(kWriteCmd);
}

bool MemoryPort::takes_beats() {
  size_t expected = 0;
  for (const Command& command : write_commands_) expected += command.beats;
  return write_beats_.size() < expected + kBeatsAhead && !tb.stall(kWriteData);
}

bool MemoryPort::takes_reads() {
  return reads_.size() < kCommandsInFlight && !tb.stall(kReadCmd);
}

void MemoryPort::check_held(Channel channel, const char* name, bool valid, bool ready,
                            const void* payload, size_t size) {
  Offer& offer = offers_[channel];
  if (offer.pending && (!valid || memcmp(offer.payload.data(), payload, size) != 0)) {
    tb.fail(kError, "%s must be held until it is accepted, but was %s", name,
            valid ? "changed" : "withdrawn");
  }
  offer.pending = valid && !ready;
  if (offer.pending) {
    auto from = static_cast<const uint8_t*>(payload);
    offer.payload.assign(from, from + size);
  }
}

uint64_t Testbench::place_of(uint64_t addr, uint64_t count) const {
  for (const Region& one : regions) {
    const uint64_t inside = addr - one.addr;  // beyond all bytes if it lies before
    if (inside < one.bytes && count <= one.bytes - inside) return one.place + inside;
  }
  return kNowhere;
}

bool Testbench::stall(Channel channel) {
  if (stall_threshold[channel] == 0) return false;
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (random_state >> 32) < stall_threshold[channel];
}

void Testbench::fail(Status why, const char* format, ...) {
  if (status != kOk) return;  // the first error is the cause of the others
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  status = why;
  error = text;
  error += " (cycle " + std::to_string(cycle);
  if (pass != kNoPass) error += ", pass " + std::to_string(pass);
  error += ")";
}

bool Testbench::begin_edge(svBit* rst, svBit* launch_done) {
  ++edges;
  *rst = 0;
  *launch_done = 0;
  switch (state) {
    case State::kIdle:
      *rst = 1;
      return false;
    case State::kDone:
      *launch_done = 1;
      return false;
    case State::kReset:
      *rst = countdown != 0;
      // One more edge passes with reset released before the accelerator's outputs are looked at.
      if (countdown-- == 0) state = State::kActive;
      return false;
    case State::kActive:
      ++cycle;
      return true;
  }
  return false;
}

bool Testbench::memory_is_idle() const {
  return std::all_of(ports.begin(), ports.end(), [](auto& port) { return port.is_idle(); });
}

void Testbench::check_time(const char* waits_for) {
  if (cycle >= timeout_cycles) {
    fail(kTimeout, "not done after %" PRIu64 " cycles: %s", timeout_cycles, waits_for);
  }
}

extern "C" {

// Describe the accelerator; once per process. beat_bytes is at most kBeatBytes.
void gscn_setup(uint32_t ports, uint32_t beat_bytes, uint32_t burst_beats,
                uint32_t counter_count) {
  tb.ports.resize(ports);
  tb.beat_bytes = beat_bytes;
  tb.burst_beats = burst_beats;
  tb.counter_count = counter_count;
  tb.counters.assign(counter_count, 0);
  tb.counters_before.assign(counter_count, 0);
}

// Make a memory of memory_bytes, at address 0, that begins with the image and is filled up with
// `fill`.
void gscn_load(const uint8_t* image, uint64_t image_bytes, uint64_t memory_bytes, uint8_t fill) {
  uint64_t size = (memory_bytes + kBeatBytes - 1) / kBeatBytes * kBeatBytes;
  tb.memory_bytes = memory_bytes;
  tb.bytes.assign(size, fill);
  std::copy(image, image + image_bytes, tb.bytes.begin());
  tb.written.assign(size, 0);
  tb.regions = {{0, 0, size}};
}

// Let parts of the memory, and only those, lie elsewhere: address, place and bytes of each.
void gscn_place(const uint64_t* regions, uint64_t count) {
  tb.regions.clear();
  for (uint64_t number = 0; number < count; ++number, regions += 3) {
    tb.regions.push_back({regions[0], regions[1], regions[2]});
  }
}

// Start a launch, a list of passes, after a reset if asked for; stalls has a probability per channel,
// and abort_cycle says when the host aborts it, 0 for never.
void gscn_launch(uint64_t list_addr, uint32_t list_count, uint64_t latency, uint64_t write_latency,
                 const double* stalls, uint64_t seed, uint64_t timeout_cycles,
                 uint64_t abort_cycle, uint32_t faulty, uint32_t reset) {
  tb.list_addr = list_addr;
  tb.list_count = list_count;
  tb.abort_cycle = abort_cycle;
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
  tb.pass = kNoPass;
  for (size_t index = 0; index < tb.counters.size(); ++index) {
    tb.counters_before[index] += tb.counters[index];
  }
  if (reset) tb.counters_before.assign(tb.counter_count, 0);
  tb.counters.assign(tb.counter_count, 0);
  tb.cycle = tb.busy_cycles = tb.read_beats = tb.write_beats = 0;
  tb.flags = 0;
  tb.faulty = faulty;
  tb.error_code = 0;
  tb.error_pass = kNoPass;
  tb.list_together = false;
  tb.counts_passes = true;
  tb.stop = 0;
  tb.answered = false;
  tb.records_taken = false;
  tb.taken.clear();
  for (MemoryPort& port : tb.ports) port.clear();
  reset_sequencer();
  tb.countdown = reset ? kResetCycles : 0;
  tb.state = State::kReset;
}

// Of the launch just begun: it is a list of a machine, of two queues if `together`.
void gscn_machine(uint32_t together) {
  tb.counts_passes = false;
  tb.list_together = together;
}

// Answer the stop of which `launch_done` told; the list goes on, from the record at `addr` if that is not 0.
void gscn_answer(uint64_t addr) {
  tb.stop = 0;
  tb.answer_addr = addr;
  tb.answered = true;
}

// Of the launch just begun: keep the cycles in which queues take records.
void gscn_keep_taken() { tb.records_taken = true; }

// Where to keep the addresses of the records that the queues of a machine are at, two of them.
void gscn_progress(uint64_t* records) { tb.records = records; }

uint64_t gscn_taken_count() { return tb.taken.size(); }
const uint64_t* gscn_taken() { return tb.taken.data(); }
uint32_t gscn_stop() { return tb.stop; }
const uint8_t* gscn_bytes() { return tb.bytes.data(); }
const uint8_t* gscn_written() { return tb.written.data(); }
const uint64_t* gscn_counters() { return tb.counters.data(); }
const char* gscn_error() { return tb.error.c_str(); }
uint32_t gscn_status() { return tb.status; }
uint32_t gscn_flags() { return tb.flags; }
uint32_t gscn_error_code() { return tb.error_code; }
uint32_t gscn_error_pass() { return tb.error_pass; }
uint64_t gscn_busy_cycles() { return tb.busy_cycles; }
uint64_t gscn_edges() { return tb.edges; }
uint64_t gscn_read_beats() { return tb.read_beats; }
uint64_t gscn_write_beats() { return tb.write_beats; }

}  // extern "C"
