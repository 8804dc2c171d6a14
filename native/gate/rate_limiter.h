#ifndef DEVLXD_GATE_RATE_LIMITER_H_
#define DEVLXD_GATE_RATE_LIMITER_H_

#include <cstdint>
#include <vector>

#include "identity/instance_table.h"

namespace devlxd {

// A token bucket for each slot: how many requests an instance may make. A request is charged when
// it is answered or goes on to JavaScript, and may take the bucket below zero; who finds it empty
// waits.
class RateLimiter {
 public:
  // per_second 0: no limit. burst: what a bucket holds, at least 1.
  RateLimiter(uint32_t per_second, uint32_t burst) { set(per_second, burst); }

  // The same, from now on. What has been asked already counts.
  void set(uint32_t per_second, uint32_t burst);

  bool limited() const { return per_millisecond_ > 0 && !lifted_; }

  // For as long as it is lifted, there is a token for everyone.
  void lift(bool lifted) { lifted_ = lifted; }

  // Is there a token? now: milliseconds of the event loop's clock.
  bool has_token(Slot slot, uint64_t now) {
    if (!limited()) return true;
    refill(slot, now);
    return buckets_[slot].tokens >= 1;
  }

  void charge(Slot slot, uint64_t now) {
    if (!limited()) return;
    refill(slot, now);
    buckets_[slot].tokens -= 1;
  }

  // The slot is another instance's from here on.
  void reset(Slot slot);

 private:
  struct Bucket {
    double tokens = 0;
    uint64_t filled_at = 0;  // milliseconds
  };

  void refill(Slot slot, uint64_t now) {
    if (slot >= buckets_.size()) reset(slot);
    Bucket& bucket = buckets_[slot];
    if (bucket.filled_at == now) return;
    const double elapsed = static_cast<double>(now - bucket.filled_at);
    bucket.tokens += elapsed * per_millisecond_;
    if (bucket.tokens > burst_) bucket.tokens = burst_;
    bucket.filled_at = now;
  }

  double per_millisecond_ = 0;
  double burst_ = 1;
  bool lifted_ = false;
  std::vector<Bucket> buckets_;
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_RATE_LIMITER_H_
