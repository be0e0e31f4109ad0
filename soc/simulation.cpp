// Clock, reset and the far end of the UART of a system in simulation.
//
// What the firmware writes goes to standard output; the byte 4, end of transmission, ends the
// simulation. Without it, it ends after as many cycles as the first argument says, with status 1.

#include <cstdio>
#include <cstdlib>

#include "Vsystem.h"
#include "verilated.h"

namespace {

constexpr unsigned kEnd = 4;
constexpr unsigned kResetCycles = 4;

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CYCLES\n", argv[0]);
    return 2;
  }
  const unsigned long long limit = std::strtoull(argv[1], nullptr, 10);
  VerilatedContext context;
  Vsystem system{&context};
  system.serial_source_ready = 1;
  system.serial_sink_valid = 0;
  system.serial_sink_data = 0;
  for (unsigned long long cycle = 0; cycle < limit; ++cycle) {
    system.sys_rst = cycle < kResetCycles;
    system.sys_clk = 0;
    system.eval();
    // Taken at the rising edge, as it is before it.
    const bool written = !system.sys_rst && system.serial_source_valid;
    const unsigned byte = system.serial_source_data;
    system.sys_clk = 1;
    system.eval();
    if (!written) continue;
    if (byte == kEnd) {
      system.final();
      return 0;
    }
    std::putchar(static_cast<int>(byte));
    std::fflush(stdout);
  }
  std::fprintf(stderr, "no end within %llu cycles\n", limit);
  system.final();
  return 1;
}
