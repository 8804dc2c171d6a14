#ifndef DEVLXD_GATE_RATE_LIMITER_H_
#define DEVLXD_GATE_RATE_LIMITER_H_

#include <cstdint>

#include "gate/payer.h"

namespace devlxd {

// What bytes sent cost: a token for as many.
constexpr double kBytesPerToken = 4096;

// A token bucket for each payer. A token pays for one request; other work costs as much as requests
// that take the same time (docs/limits.md). Work is charged when it is done, and may take the
// bucket below zero; a payer whose bucket is empty waits.
class RateLimiter {
 public:
  // per_second 0: no limit. burst: what a bucket holds, at least 1.
  RateLimiter(uint32_t per_second, uint32_t burst) { set(per_second, burst); }

  // Takes effect at once. Work that is charged already counts.
  void set(uint32_t per_second, uint32_t burst);

  bool limited() const { return per_millisecond_ > 0 && !lifted_; }

  // While lifted, nothing is limited.
  void lift(bool lifted) { lifted_ = lifted; }

  // now: milliseconds of the event loop's clock, which stands still during a turn.
  bool may_work(Payer payer, uint64_t now) {
    return !limited() || refilled(payer, now).tokens >= 1;
  }

  void charge(Payer payer, uint64_t now, double tokens = 1) {
    if (!limited()) return;
    refilled(payer, now).tokens -= tokens;
  }

  // The slot is another instance's from here on.
  void reset(Slot slot) { buckets_[slot] = {}; }

 private:
  struct Bucket {
    double tokens = 0;
    uint64_t filled_at = 0;  // milliseconds; 0: never, so that the first refill fills it
  };

  Bucket& refilled(Payer payer, uint64_t now) {
    Bucket& bucket = buckets_[payer];
    if (bucket.filled_at == now) return bucket;
    const double elapsed = static_cast<double>(now - bucket.filled_at);
    bucket.tokens += elapsed * per_millisecond_;
    if (bucket.tokens > burst_) bucket.tokens = burst_;
    bucket.filled_at = now;
    return bucket;
  }

  double per_millisecond_ = 0;
  double burst_ = 1;
  bool lifted_ = false;
  PerPayer<Bucket> buckets_;
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_RATE_LIMITER_H_
