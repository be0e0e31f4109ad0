// Sequencer of the testbench of the core: serves its memory ports and runs the phases of a launch
// by `start` and `busy`, or all of them by `start_list` and `busy`.

#include "memory.h"

namespace {

constexpr uint32_t kNoPhase = 0xffffffff;  // `phase` of a phase that is not of a list
constexpr unsigned kCounterDelay = 3;  // edges from returning counter_addr to its counter_data

enum class Step { kStart, kAccepted, kRun, kCounters };

struct Ready {  // what a port was told at the edge before
  bool read_cmd = false, write_cmd = false, write_data = false;
};

struct Sequencer {
  Step step = Step::kStart;
  bool start_offered = false;
  unsigned quiet = 0;
  unsigned counter_issued = 0;
  std::deque<std::pair<uint64_t, unsigned>> counter_reads;  // (edge at which valid, index)
  std::vector<Ready> ready;
} seq;

}  // namespace

void reset_sequencer() {
  seq = Sequencer();
  const bool nothing = tb.one_start ? tb.phase_count == 0 : tb.phases.empty();
  seq.step = nothing ? Step::kCounters : Step::kStart;
  seq.ready.resize(tb.ports.size());
}

extern "C" {

// Vectors hold one entry per port, masks one bit: see testbench.sv.
void gscn_cycle(svBit start_ready, svBit start_list_ready, svBit busy, svBit saturated,
                svBit accumulator_overflow, svBit address_error, svBit nonfinite,
                uint32_t error_code, uint32_t error_job, uint32_t error_phase, uint32_t phase,
                uint64_t counter_data, uint32_t read_cmd_valid,
                const svBitVecVal* read_cmd_addr, const svBitVecVal* read_cmd_beats,
                uint32_t write_cmd_valid, const svBitVecVal* write_cmd_addr,
                const svBitVecVal* write_cmd_beats, uint32_t write_data_valid,
                const svBitVecVal* write_data, const svBitVecVal* write_strobe, svBit* rst,
                svBit* start_valid, uint64_t* start_queue_addr, uint32_t* start_job_count,
                uint64_t* start_out_addr, uint64_t* start_out_end, svBit* start_list_valid,
                uint64_t* start_phases_addr, uint32_t* start_phase_count, uint32_t* counter_addr,
                uint32_t* read_cmd_ready, uint32_t* read_data_valid,
                svBitVecVal* read_data, uint32_t* write_cmd_ready, uint32_t* write_data_ready,
                uint32_t* write_done, svBit* launch_done) {
  *start_valid = *start_list_valid = 0;
  *start_queue_addr = *start_phases_addr = 0;
  *start_job_count = *start_phase_count = 0;
  *start_out_addr = *start_out_end = 0;
  *counter_addr = 0;
  *read_cmd_ready = *read_data_valid = 0;
  *write_cmd_ready = *write_data_ready = *write_done = 0;
  if (!tb.begin_edge(rst, launch_done)) return;

  tb.busy_cycles += busy;
  tb.flags = saturated | accumulator_overflow << 1 | address_error << 2 | nonfinite << 3;

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

  if (error_code != 0) {
    tb.fail(kError, "job %u must have no error, not error %u (phase %u of its list)", error_job,
            error_code, error_phase);
  }

  // start_valid, as any output, is seen by the accelerator one edge later.
  if (seq.step == Step::kStart) {
    if (busy) tb.fail(kError, "busy must be low before a phase is started");
    if (seq.start_offered && (tb.one_start ? start_list_ready : start_ready)) {
      seq.start_offered = false;
      seq.step = Step::kAccepted;
    } else if (tb.one_start) {
      seq.start_offered = true;
      *start_list_valid = 1;
      *start_phases_addr = tb.phases_addr;
      *start_phase_count = tb.phase_count;
    } else {
      seq.start_offered = true;
      *start_valid = 1;
      *start_queue_addr = tb.phases[tb.phase].queue_addr;
      *start_job_count = static_cast<uint32_t>(tb.phases[tb.phase].job_count);
      *start_out_addr = tb.phases[tb.phase].out_addr;
      *start_out_end = tb.phases[tb.phase].out_end;
    }
  } else if (seq.step == Step::kAccepted) {
    if (!busy) tb.fail(kError, "busy must be high in the cycle after a start is accepted");
    seq.step = Step::kRun;
  } else if (seq.step == Step::kRun && !busy) {
    if (!tb.memory_is_idle()) {
      size_t reads = 0, writes = 0;
      for (const MemoryPort& port : tb.ports) {
        reads += port.reads_under_way();
        writes += port.writes_under_way();
      }
      tb.fail(kError, "busy must stay high until memory has completed %zu reads and %zu writes",
              reads, writes);
    }
    const uint32_t last = tb.one_start ? tb.phase_count - 1 : kNoPhase;
    if (phase != last) tb.fail(kError, "phase must be %u after the last one, not %u", last, phase);
    tb.phase = tb.one_start ? tb.phase_count : tb.phase + 1;
    const bool more = !tb.one_start && tb.phase < tb.phases.size();
    seq.step = more ? Step::kStart : Step::kCounters;
  } else if (seq.step == Step::kCounters) {
    if (tb.status == kOk && (busy || read_cmd_valid || write_cmd_valid || write_data_valid)) {
      tb.fail(kError, "the accelerator must be silent after the last phase");
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
      if (tb.status == kOk && tb.counters.back() != tb.busy_cycles) {
        tb.fail(kError, "the counter of busy cycles must be %" PRIu64 ", not %" PRIu64,
                tb.busy_cycles, tb.counters.back());
      }
      tb.state = State::kDone;
    }
  }

  if (seq.step != Step::kCounters && tb.state != State::kDone) {
    tb.check_time(seq.step == Step::kStart ? "start is not accepted" : "busy stays high");
    if (tb.status != kOk) {
      seq.start_offered = false;
      seq.step = Step::kCounters;
    }
  }
}

}  // extern "C"
