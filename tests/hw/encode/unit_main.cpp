// Runs encode passes, one memory image after the other, on a memory that stalls at random.
//
// Arguments: images, results, cycles of latency, per cent of stalls, most cycles of a pass, and
// whether a beat to write is taken in the cycle of its command, or one later.
// An image is its bytes, after their number; the record is at its start. A result is 8 numbers
// (error, flags, cycles, whether it hung, bursts outside memory, beats read, beats written, what
// was under way at the end) and the bytes.

#include "Vencode_unit.h"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

namespace {

constexpr uint32_t kBeat = 64;
constexpr uint32_t kWriteLatency = 4;
constexpr uint32_t kReadOutside = 1, kWriteOutside = 4;

class Stalls {
 public:
  explicit Stalls(int percent) : percent_(percent) {}
  bool Free() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return static_cast<int>(state_ % 100) >= percent_;
  }

 private:
  int percent_;
  uint32_t state_ = 12345;
};

struct Memory {
  std::vector<uint8_t> bytes;
  std::deque<std::pair<long, uint32_t>> reads;
  std::deque<uint32_t> writes, bursts;
  std::deque<long> answers;
  uint32_t left = 0, outside = 0, read = 0, written = 0;
};

void Clock(Vencode_unit& unit) {
  unit.clk = 1;
  unit.eval();
  unit.clk = 0;
}

void Reset(Vencode_unit& unit) {
  unit.rst = 1;
  for (int i = 0; i < 4; ++i) {
    unit.eval();
    Clock(unit);
  }
  unit.rst = 0;
}

void Offer(Vencode_unit& unit, Memory& memory, Stalls& stalls, long cycle, bool at_once) {
  const bool due = !memory.reads.empty() && memory.reads.front().first <= cycle && stalls.Free();
  unit.mem_read_data___05Fvalid = due;
  if (due) {
    std::memcpy(&unit.mem_read_data___05Fpayload[0], &memory.bytes[memory.reads.front().second],
                kBeat);
    memory.reads.pop_front();
    ++memory.read;
  }
  unit.mem_read_cmd___05Fready = stalls.Free();
  unit.mem_write_cmd___05Fready = stalls.Free();
  unit.mem_write_data___05Fready = (at_once || !memory.writes.empty()) && stalls.Free();
  const bool answers = !memory.answers.empty() && memory.answers.front() <= cycle;
  unit.mem_write_done = answers;
  if (answers) memory.answers.pop_front();
  unit.eval();
}

void Take(Vencode_unit& unit, Memory& memory, long cycle, long latency) {
  if (unit.mem_read_cmd___05Fvalid && unit.mem_read_cmd___05Fready) {
    const uint64_t burst = unit.mem_read_cmd___05Fpayload;
    for (uint32_t i = 0; i < (burst >> 32 & 255); ++i) {
      uint32_t place = static_cast<uint32_t>(burst) + kBeat * i;
      if (place + kBeat > memory.bytes.size()) {
        memory.outside |= kReadOutside;
        place = 0;
      }
      memory.reads.push_back({cycle + latency, place});
    }
  }
  if (unit.mem_write_cmd___05Fvalid && unit.mem_write_cmd___05Fready) {
    const uint64_t burst = unit.mem_write_cmd___05Fpayload;
    const uint32_t beats = burst >> 32 & 255;
    for (uint32_t i = 0; i < beats; ++i) {
      memory.writes.push_back(static_cast<uint32_t>(burst) + kBeat * i);
    }
    memory.bursts.push_back(beats);
  }
  if (unit.mem_write_data___05Fvalid && unit.mem_write_data___05Fready) {
    const uint32_t place = memory.writes.front();
    memory.writes.pop_front();
    ++memory.written;
    uint32_t words[18];
    std::memcpy(words, &unit.mem_write_data___05Fpayload[0], sizeof words);
    const uint64_t strobe = words[16] | static_cast<uint64_t>(words[17]) << 32;
    for (uint32_t i = 0; i < kBeat; ++i) {
      if (!(strobe >> i & 1)) continue;
      if (place + i < memory.bytes.size()) {
        memory.bytes[place + i] = reinterpret_cast<uint8_t*>(words)[i];
      } else {
        memory.outside |= kWriteOutside;
      }
    }
    if (memory.left == 0) {
      memory.left = memory.bursts.front();
      memory.bursts.pop_front();
    }
    if (--memory.left == 0) memory.answers.push_back(cycle + kWriteLatency);
  }
}

}  // namespace

int main(int count, char** given) {
  if (count != 7) return 2;
  FILE* images = std::fopen(given[1], "rb");
  FILE* results = std::fopen(given[2], "wb");
  if (!images || !results) return 2;
  const long latency = std::atol(given[3]), most = std::atol(given[5]);
  const bool at_once = std::atoi(given[6]) != 0;
  Stalls stalls(std::atoi(given[4]));
  Vencode_unit unit;
  unit.clk = 0;
  Reset(unit);
  uint32_t size;
  while (std::fread(&size, 4, 1, images) == 1) {
    Memory memory;
    memory.bytes.resize((size + kBeat - 1) / kBeat * kBeat);
    if (std::fread(memory.bytes.data(), 1, size, images) != size) return 2;
    bool started = false, ended = false;
    long cycle = 0, first = 0;
    for (; !ended && cycle < most; ++cycle) {
      for (int i = 0; i < 4; ++i) unit.start___05Fpayload[i] = 0;
      unit.start___05Fpayload[2] = 512;  // the list ends behind the record
      unit.start___05Fvalid = !started;
      Offer(unit, memory, stalls, cycle, at_once);
      ended = started && !unit.busy;
      if (unit.start___05Fvalid && unit.start___05Fready) {
        started = true;
        first = cycle;
      }
      Take(unit, memory, cycle, latency);
      Clock(unit);
    }
    const size_t left = memory.reads.size() + memory.writes.size() + memory.answers.size();
    const uint32_t head[8] = {unit.error, unit.flags, static_cast<uint32_t>(cycle - first), !ended,
                              memory.outside, memory.read, memory.written,
                              static_cast<uint32_t>(left)};
    std::fwrite(head, 4, 8, results);
    std::fwrite(memory.bytes.data(), 1, size, results);
    if (!ended) Reset(unit);
  }
  std::fclose(results);
  return 0;
}
