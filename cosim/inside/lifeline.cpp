// Ends the simulator as soon as the process that started it ends, whatever either is doing.
//
// GSCN_LIFELINE is the number of a file descriptor: a pipe whose other end only that process holds.
// It is watched from before main on, as the imports of a testbench take seconds. A signal at the
// parent's death would not do: Linux sends it when the parent's *thread* ends.

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <thread>

namespace {

void watch(int lifeline) {
  char byte;
  ssize_t count;
  do {
    count = read(lifeline, &byte, 1);
  } while (count > 0 || (count < 0 && errno == EINTR));
  kill(getpid(), SIGKILL);
}

const bool watched = [] {
  const char* lifeline = getenv("GSCN_LIFELINE");
  if (lifeline) std::thread(watch, atoi(lifeline)).detach();
  return lifeline != nullptr;
}();

}  // namespace
