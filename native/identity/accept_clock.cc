#include "identity/accept_clock.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "identity/procfs.h"

namespace devlxd {
namespace {

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;
// No machine forks faster than this, all cores together: the kernel allocates pids under one lock.
// For the smallest usual pid_max, 32768, it makes 200 ms.
constexpr uint64_t kNanosecondsPerFork = 6'000;
constexpr uint64_t kLeastStandstill = kNanosecondsPerSecond / 5;
constexpr uint64_t kMostStandstill = 2 * kNanosecondsPerSecond;

uint64_t nanoseconds_since_boot() {
  timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNanosecondsPerSecond + now.tv_nsec;
}

}  // namespace

AcceptClock::AcceptClock()
    : empty_at_(nanoseconds_since_boot()),
      longest_standstill_(
          std::clamp(pid_max() * kNanosecondsPerFork, kLeastStandstill, kMostStandstill)) {}

void AcceptClock::queue_was_empty() { empty_at_ = nanoseconds_since_boot(); }

bool AcceptClock::may_be_another(uint64_t start_ticks) const {
  static const uint64_t nanoseconds_per_tick = kNanosecondsPerSecond / sysconf(_SC_CLK_TCK);
  const uint64_t latest_start = (start_ticks + 1) * nanoseconds_per_tick;
  return latest_start > empty_at_ && nanoseconds_since_boot() - empty_at_ > longest_standstill_;
}

}  // namespace devlxd
