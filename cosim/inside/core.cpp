// Sequencer of the testbench of the core: serves its memory ports and runs the list of passes of a
// launch by `start_list` and `busy`.

#include "memory.h"

namespace {

constexpr unsigned kCounterDelay = 3;  // edges from returning counter_addr to its counter_data

enum class Step { kStart, kAccepted, kRun, kCounters };

struct Ready {  // what a port was told at the edge before
  bool read_cmd = false, write_cmd = false, write_data = false;
};

struct Sequencer {
  Step step = Step::kStart;
  bool start_offered = false;
  bool stopped = false;         // the host knows of the stop, and has not answered yet
  bool answer_offered = false;
  unsigned quiet = 0;
  unsigned counter_issued = 0;
  std::deque<std::pair<uint64_t, unsigned>> counter_reads;  // (edge at which valid, index)
  std::vector<Ready> ready;
} seq;

}  // namespace

void reset_sequencer() {
  seq = Sequencer();
  seq.step = Step::kStart;
  seq.ready.resize(tb.ports.size());
}

// A stop is told to Python, which sees `launch_done` for a cycle, acts, and calls `gscn_answer`.
static void answer(uint32_t number, bool ready, svBit* valid, uint64_t* addr, svBit* told) {
  if (seq.answer_offered && ready) {
    seq.answer_offered = seq.stopped = false;
    return;  // the number is that of the stop that was answered
  }
  if (tb.answered) {
    tb.answered = false;
    seq.answer_offered = true;
  }
  if (seq.answer_offered) {
    *valid = 1;
    *addr = tb.answer_addr;
  } else if (number != 0 && !seq.stopped) {
    seq.stopped = true;
    tb.stop = number;
    *told = 1;
  }
}

extern "C" {

// Vectors hold one entry per port, masks one bit: see testbench.sv.
void gscn_cycle(svBit start_list_ready, svBit busy, svBit saturated, svBit accumulator_overflow,
                svBit nonfinite, uint32_t error_code, uint32_t error_pass, uint32_t pass_number,
                uint64_t counter_data, uint32_t read_cmd_valid, const svBitVecVal* read_cmd_addr,
                const svBitVecVal* read_cmd_beats, uint32_t write_cmd_valid,
                const svBitVecVal* write_cmd_addr, const svBitVecVal* write_cmd_beats,
                uint32_t write_data_valid, const svBitVecVal* write_data,
                const svBitVecVal* write_strobe, uint32_t stop_number, svBit answer_ready,
                const svBitVecVal* record_addrs,
                svBit* rst, svBit* start_list_valid,
                uint64_t* list_addr, uint32_t* list_count, uint32_t* counter_addr,
                uint32_t* read_cmd_ready, uint32_t* read_data_valid, svBitVecVal* read_data,
                uint32_t* write_cmd_ready, uint32_t* write_data_ready, uint32_t* write_done,
                svBit* list_together, svBit* answer_valid, uint64_t* answer_addr,
                svBit* launch_done) {
  *start_list_valid = 0;
  *list_addr = 0;
  *list_count = 0;
  *counter_addr = 0;
  *list_together = *answer_valid = 0;
  *answer_addr = 0;
  *read_cmd_ready = *read_data_valid = 0;
  *write_cmd_ready = *write_data_ready = *write_done = 0;
  if (!tb.begin_edge(rst, launch_done)) return;

  tb.busy_cycles += busy;
  tb.flags = saturated | accumulator_overflow << 1 | nonfinite << 2;
  tb.pass = pass_number;
  if (tb.records != nullptr) {
    for (size_t queue = 0; queue < 2; ++queue) tb.records[queue] = word64(record_addrs, queue);
  }
  if (tb.records_taken) {
    // Before a list begins, queues are at the last records of the list before.
    for (uint64_t queue = 0; queue < 2; ++queue) {
      const uint64_t addr = word64(record_addrs, queue);
      if (busy && addr != tb.seen[queue]) {
        tb.taken.insert(tb.taken.end(), {tb.busy_cycles - 1, queue, addr});
      }
      tb.seen[queue] = addr;
    }
  }

  for (size_t index = 0; index < tb.ports.size(); ++index) {
    MemoryPort& port = tb.ports[index];
    Ready& ready = seq.ready[index];
    const bool reads = read_cmd_valid >> index & 1, writes = write_cmd_valid >> index & 1;
    const bool sends = write_data_valid >> index & 1;
    const MemoryPort::Command read{word64(read_cmd_addr, index), read_cmd_beats[index], 0};
    const MemoryPort::Command write{word64(write_cmd_addr, index), write_cmd_beats[index], 0};
    struct {
      uint8_t data[kBeatBytes];
      uint64_t strobe;
    } beat{};
    if (sends) {
      auto from = reinterpret_cast<const uint8_t*>(write_data) + index * tb.beat_bytes;
      std::copy(from, from + tb.beat_bytes, beat.data);
      beat.strobe = word64(write_strobe, index);
    }
    port.check_held(kReadCmd, "read command", reads, ready.read_cmd, &read, sizeof read);
    port.check_held(kWriteCmd, "write command", writes, ready.write_cmd, &write, sizeof write);
    port.check_held(kWriteData, "write data", sends, ready.write_data, &beat, sizeof beat);

    // Write channels: accept, join beats with their commands, store, report.
    if (writes && ready.write_cmd) port.accept_write(write);
    if (sends && ready.write_data) port.accept_beat(beat.data, beat.strobe, false);
    port.join_writes(false);
    uint32_t id;
    *write_done |= uint32_t(port.next_done(&id)) << index;
    ready.write_cmd = port.takes_writes();
    ready.write_data = port.takes_beats();

    // Read channels.
    if (reads && ready.read_cmd) port.accept_read(read);
    auto to = reinterpret_cast<uint8_t*>(read_data) + index * tb.beat_bytes;
    bool last, fails;
    *read_data_valid |= uint32_t(port.next_beat(to, &last, &id, &fails)) << index;
    ready.read_cmd = port.takes_reads();

    *read_cmd_ready |= uint32_t(ready.read_cmd) << index;
    *write_cmd_ready |= uint32_t(ready.write_cmd) << index;
    *write_data_ready |= uint32_t(ready.write_data) << index;
  }

  if (error_code != 0 && seq.step == Step::kRun) {
    tb.error_code = error_code;
    tb.error_pass = error_pass;
    if (!tb.faulty) {
      tb.fail(kError, "pass %u must have no error, not error %u", error_pass, error_code);
    }
    // What follows an error means nothing.
    tb.state = State::kDone;
    return;
  }

  // start_list_valid, as any output, is seen by the array one edge later.
  if (seq.step == Step::kStart) {
    if (busy) tb.fail(kError, "busy must be low before a list is started");
    if (seq.start_offered && start_list_ready) {
      seq.start_offered = false;
      seq.step = Step::kAccepted;
    } else {
      seq.start_offered = true;
      *start_list_valid = 1;
      *list_addr = tb.list_addr;
      *list_count = tb.list_count;
      *list_together = tb.list_together;
    }
  } else if (seq.step == Step::kAccepted) {
    if (!busy) tb.fail(kError, "busy must be high in the cycle after a start is accepted");
    seq.step = Step::kRun;
  } else if (seq.step == Step::kRun && busy) {
    answer(stop_number, answer_ready, answer_valid, answer_addr, launch_done);
  } else if (seq.step == Step::kRun) {
    if (!tb.memory_is_idle()) {
      size_t reads = 0, writes = 0;
      for (const MemoryPort& port : tb.ports) {
        reads += port.reads_under_way();
        writes += port.writes_under_way();
      }
      tb.fail(kError, "busy must stay high until memory has completed %zu reads and %zu writes",
              reads, writes);
    }
    if (tb.counts_passes && pass_number != tb.list_count - 1) {
      tb.fail(kError, "pass_number must be %u after the last one, not %u", tb.list_count - 1,
              pass_number);
    }
    seq.step = Step::kCounters;
  } else if (seq.step == Step::kCounters) {
    if (tb.status == kOk && (busy || read_cmd_valid || write_cmd_valid || write_data_valid)) {
      tb.fail(kError, "the array must be silent after the last pass");
    }
    ++seq.quiet;
    if (!seq.counter_reads.empty() && seq.counter_reads.front().first == tb.cycle) {
      const unsigned index = seq.counter_reads.front().second;
      tb.counters[index] = counter_data - tb.counters_before[index];
      seq.counter_reads.pop_front();
    }
    if (seq.counter_issued < tb.counter_count) {
      *counter_addr = seq.counter_issued;
      seq.counter_reads.push_back({tb.cycle + kCounterDelay, seq.counter_issued});
      ++seq.counter_issued;
    } else if (seq.counter_reads.empty() && seq.quiet >= kQuietCycles) {
      if (tb.status == kOk && tb.counts_passes && tb.counters.back() != tb.busy_cycles) {
        tb.fail(kError, "the counter of busy cycles must be %" PRIu64 ", not %" PRIu64,
                tb.busy_cycles, tb.counters.back());
      }
      tb.state = State::kDone;
    }
  }

  if (seq.step != Step::kCounters && tb.state != State::kDone) {
    tb.check_time(seq.step == Step::kStart ? "the list is not accepted" : "busy stays high");
    if (tb.status != kOk) {
      seq.start_offered = false;
      seq.step = Step::kCounters;
    }
  }
}

}  // extern "C"
