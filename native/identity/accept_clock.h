#ifndef DEVLXD_IDENTITY_ACCEPT_CLOCK_H_
#define DEVLXD_IDENTITY_ACCEPT_CLOCK_H_

#include <cstdint>

namespace devlxd {

// Bounds how long a connection can have waited to be accepted. Only IdentityMethod::kProcfs needs
// it: there the caller is known by its pid alone, and a process younger than the oldest possible
// connection may have inherited the pid of a caller that exited. A pid is reused only after pid_max
// others: while the accept queue was seen empty less time ago than that takes, no pid can have been
// reused. After a longer standstill of the daemon, young processes are refused.
class AcceptClock {
 public:
  AcceptClock();

  // The accept queue was just seen empty: later accepts return later connections.
  void queue_was_empty();

  // Can the process that has a pid now be another than the one that connected?
  bool may_be_another(uint64_t start_ticks) const;

 private:
  uint64_t empty_at_;            // nanoseconds of CLOCK_BOOTTIME
  uint64_t longest_standstill_;  // nanoseconds
};

}  // namespace devlxd

#endif  // DEVLXD_IDENTITY_ACCEPT_CLOCK_H_
