#ifndef DEVLXD_BENCH_VISIT_H_
#define DEVLXD_BENCH_VISIT_H_

#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace devlxd::bench {

constexpr size_t kMostRequests = 16;

// What one guest saw, in memory shared with its parent.
struct Outcome {
  uint64_t finished = 0;  // CLOCK_MONOTONIC, nanoseconds; 0: not yet
  uint32_t answered = 0;
  uint32_t mismatches = 0;
  uint32_t errors = 0;
  int first_error = 0;  // errno; 0 beside errors: what came was no answer
  std::array<uint64_t, kMostRequests> nanoseconds = {};  // of each that was answered
};

// Asks for each path once, one after the other, on new connections and blocking, as cloud-init
// does. Every answer has to be a 200.
void visit(const sockaddr_un& address, const std::vector<std::string>& paths, Outcome& outcome);

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_VISIT_H_
