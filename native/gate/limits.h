#ifndef DEVLXD_GATE_LIMITS_H_
#define DEVLXD_GATE_LIMITS_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace devlxd {

// The limits that the gate enforces or counts. A new one needs a line here and its name below, the
// code that enforces it, its declaration in src/limits/limits.ts and its line in docs/limits.md:
// options, metrics and log lines follow from these.
enum class Limit : uint8_t {
  kConnectionsPerInstance,   // 0: no limit, where nothing else is said
  kConnectionsNonroot,       // of these, of users other than root, which only get 401
  kConnections,              // of all callers together
  kConnectionsUnregistered,  // of callers of no instance that were told so
  kConnectionsUnidentified,  // of callers that cannot be identified
  kConnectionsPerUid,        // of these, of one user of the host
  kDescriptors,              // of connections and running inits
  kPendingCallers,           // callers whose pid namespace is held open; 0: none
  kHoldSeconds,              // that a request of a pending caller waits; 0: none does
  kRequestsPerSecond,        // of one instance, in the long run
  kRequestBurst,             // of one instance, at once
  kWebsocketFrames,          // of one listener in a second
  kSentAhead,                // not configurable, as the next: request_reader.cc has the number
  kRequestHead,              // bytes and lines: request_head.h has the numbers
};

// As the options and docs/limits.md name them.
constexpr std::array kLimitNames = {
    "connections-per-instance",
    "connections-nonroot",
    "connections",
    "connections-unregistered",
    "connections-unidentified",
    "connections-per-uid",
    "descriptors",
    "pending-callers",
    "hold-seconds",
    "requests-per-second",
    "request-burst",
    "websocket-frames",
    "sent-ahead",
    "request-head",
};
constexpr size_t kLimits = kLimitNames.size();
static_assert(kLimits == static_cast<size_t>(Limit::kRequestHead) + 1);

// One value for each limit.
template <typename Value>
class PerLimit {
 public:
  Value& operator[](Limit limit) { return values_[static_cast<size_t>(limit)]; }
  const Value& operator[](Limit limit) const { return values_[static_cast<size_t>(limit)]; }
  Value& at_index(size_t index) { return values_[index]; }
  const Value& at_index(size_t index) const { return values_[index]; }

 private:
  std::array<Value, kLimits> values_ = {};
};

using LimitNumbers = PerLimit<uint32_t>;
using LimitHits = PerLimit<uint64_t>;

}  // namespace devlxd

#endif  // DEVLXD_GATE_LIMITS_H_
