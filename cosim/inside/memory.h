// Memory of the testbench and what it knows of the launch under way.
//
// A sequencer (core.cpp or axi.cpp) is called once per rising clock edge with the values that the
// accelerator's outputs have at that edge; what it returns is registered there and reaches the
// accelerator at the next edge.

#pragma once

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "svdpi.h"

constexpr unsigned kBeatBytes = 64;         // widest beat; memory ends on a multiple of it
constexpr size_t kCommandsInFlight = 256;   // per direction; beyond that none are accepted
constexpr size_t kBeatsAhead = 16;          // write beats accepted before their command
constexpr unsigned kQuietCycles = 64;       // after the last pass the ports must be silent
constexpr uint32_t kNoPass = 0xffffffff;    // number of the pass before the first
constexpr uint64_t kNowhere = ~uint64_t(0);  // place of what is not in memory

enum class State { kIdle, kReset, kActive, kDone };
enum Channel { kReadCmd, kReadData, kWriteCmd, kWriteData, kWriteDone, kChannels };
enum Status : uint32_t { kOk = 0, kTimeout = 1, kError = 2 };

// A part of memory, `bytes` from `place` on, and the address on the ports at which it lies.
struct Region {
  uint64_t addr, place, bytes;
};

// One memory port.
//
// Reads: the first beat of a command accepted at edge t is offered so that the accelerator can take
// it at edge t + latency, then one beat per cycle, in the order of the commands.
// Writes: a burst becomes visible in memory when its completion is reported, write_latency cycles
// after its last beat was accepted at the earliest; a core that ends before that loses the data.
// Every channel can stall at random.
class MemoryPort {
 public:
  struct Command {
    uint64_t addr;
    unsigned beats;
    uint32_t id;
  };

  void clear() { *this = MemoryPort(); }

  // Accelerator to memory, after the checks of the sequencer; false if the command is refused.
  bool accept_read(const Command& command);
  bool accept_write(const Command& command);
  void accept_beat(const uint8_t* data, uint64_t strobe, bool last);
  // Join beats with their commands; once per edge, after what was accepted at it.
  void join_writes(bool beats_say_last);

  // Memory to accelerator, at the next edge. Each draws its pause, so once per edge at most.
  bool next_done(uint32_t* id);
  // `fails` tells that the beat is outside the memory; only in a faulty launch.
  bool next_beat(uint8_t* data, bool* last, uint32_t* id, bool* fails);
  bool takes_writes();
  bool takes_beats();
  bool takes_reads();

  // An offer, once made, must be held unchanged until it is accepted; `ready` is what the
  // accelerator saw at this edge.
  void check_held(Channel channel, const char* name, bool valid, bool ready, const void* payload,
                  size_t size);

  bool is_idle() const {
    return reads_.empty() && write_commands_.empty() && write_beats_.empty() && bursts_.empty();
  }
  size_t reads_under_way() const { return reads_.size(); }
  size_t writes_under_way() const { return write_commands_.size() + bursts_.size(); }

 private:
  struct Read {
    Command command;
    uint64_t first_cycle;  // earliest edge at which the accelerator takes the first beat
  };
  struct Beat {
    std::vector<uint8_t> data;
    uint64_t strobe;
    bool last;
  };
  struct Burst {  // all beats accepted, not yet stored
    Command command;
    std::vector<Beat> beats;
    uint64_t done_cycle;  // earliest edge at which the accelerator sees the completion
  };
  struct Offer {
    bool pending = false;
    std::vector<uint8_t> payload;
  };

  bool is_good(const char* kind, const Command& command) const;
  void store(const Burst& burst) const;

  std::deque<Read> reads_;
  unsigned beat_ = 0;  // next beat of reads_.front()
  std::deque<Command> write_commands_;
  std::deque<Beat> write_beats_;
  std::deque<Burst> bursts_;
  Offer offers_[kChannels];
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
  std::vector<Region> regions;   // where its parts lie, apart from one another
  uint64_t list_addr = 0;        // of the list of passes
  uint32_t list_count = 0;       // its passes; of a machine's list, places of records
  bool list_together = false;    // a machine has two queues
  bool counts_passes = true;     // `pass_number` counts to the end of the list
  // Behind AXI: cycle in which the host begins to abort the launch; 0 for never.
  uint64_t abort_cycle = 0;

  // A machine's stop that is under way, 0 without one, and what the host has answered.
  uint32_t stop = 0;
  bool answered = false;
  uint64_t* records = nullptr;  // what its queues are at, for those who watch
  uint64_t answer_addr = 0;
  bool records_taken = false;    // keep when a queue takes a record
  std::vector<uint64_t> taken;   // three numbers each: busy cycle, queue, address
  uint64_t seen[2] = {};         // what the queues were at the edge before

  // Launch.
  State state = State::kIdle;
  Status status = kOk;
  std::string error;
  uint32_t pass = kNoPass;  // under way, for messages
  unsigned countdown = 0;
  std::vector<uint64_t> counters;         // of this launch
  std::vector<uint64_t> counters_before;  // of the launches since the last reset
  uint64_t cycle = 0;  // edges since the launch left reset
  uint64_t busy_cycles = 0;
  uint64_t edges = 0;  // edges since the program started
  uint32_t flags = 0;  // saturated, accumulator_overflow, nonfinite
  std::vector<MemoryPort> ports;
  uint64_t read_beats = 0;
  uint64_t write_beats = 0;
  // The launch may be malformed: errors are outcomes, reads outside memory are answered.
  bool faulty = false;
  uint32_t error_code = 0, error_pass = kNoPass;  // reported by the accelerator

  // Where in `bytes` an address is, if all of so many bytes lie in one region; else kNowhere.
  uint64_t place_of(uint64_t addr, uint64_t count) const;
  bool stall(Channel channel);
  void fail(Status why, const char* format, ...) __attribute__((format(printf, 3, 4)));
  // Count an edge; whether the accelerator is out of reset and a launch under way.
  bool begin_edge(svBit* rst, svBit* launch_done);
  bool memory_is_idle() const;
  void check_time(const char* waits_for);
};

extern Testbench tb;

// Of the sequencer: forget the launch before.
void reset_sequencer();

inline uint64_t word64(const svBitVecVal* vector, size_t index) {
  return vector[2 * index] | uint64_t(vector[2 * index + 1]) << 32;
}
