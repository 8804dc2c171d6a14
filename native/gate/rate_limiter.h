#ifndef DEVLXD_GATE_RATE_LIMITER_H_
#define DEVLXD_GATE_RATE_LIMITER_H_

#include <array>
#include <cstdint>
#include <vector>

#include "identity/caller.h"

namespace devlxd {

// The account that work is charged to: an instance by its slot, or, for callers of no instance, the
// user of the host. Users share a fixed number of accounts, so that no caller can add any.
using Payer = uint32_t;
constexpr Payer kFirstUserPayer = 1u << 30;
constexpr Payer kUserPayers = 256;

inline Payer payer_of(const Caller& caller) {
  if (caller.kind == CallerKind::kInstance) return caller.slot;
  return kFirstUserPayer + caller.uid % kUserPayers;
}

// A token bucket for each payer. A token pays for one request; other work costs as much as requests
// that take the same time (docs/limits.md). Work is charged when it is done, and may take the
// bucket below zero; a payer whose bucket is empty waits.
class RateLimiter {
 public:
  // Work of one payer in one turn of the event loop, however full its bucket is: the others wait
  // for a turn no longer than this takes.
  static constexpr double kMostPerTurn = 256;

  // per_second 0: no limit. burst: what a bucket holds, at least 1.
  RateLimiter(uint32_t per_second, uint32_t burst) { set(per_second, burst); }

  // Takes effect at once. Work that is charged already counts.
  void set(uint32_t per_second, uint32_t burst);

  bool limited() const { return per_millisecond_ > 0 && !lifted_; }

  // While lifted, nothing is limited.
  void lift(bool lifted) { lifted_ = lifted; }

  // now: milliseconds of the event loop's clock, which stands still during a turn.
  bool may_work(Payer payer, uint64_t now) {
    if (!limited()) return true;
    const Bucket& bucket = refilled(payer, now);
    return bucket.tokens >= 1 && bucket.spent < kMostPerTurn;
  }

  // Is the rate used up? Not only the share of this turn.
  bool is_empty(Payer payer, uint64_t now) { return limited() && refilled(payer, now).tokens < 1; }

  void charge(Payer payer, uint64_t now, double tokens = 1) {
    if (!limited()) return;
    Bucket& bucket = refilled(payer, now);
    bucket.tokens -= tokens;
    bucket.spent += tokens;
  }

  // The slot is another instance's from here on.
  void reset(Slot slot);

 private:
  struct Bucket {
    double tokens = 0;
    double spent = 0;        // in the turn of filled_at
    uint64_t filled_at = 0;  // milliseconds; 0: never, so that the first refill fills it
  };

  Bucket& bucket_of(Payer payer) {
    if (payer >= kFirstUserPayer) return users_[payer - kFirstUserPayer];
    if (payer >= instances_.size()) reset(payer);
    return instances_[payer];
  }

  Bucket& refilled(Payer payer, uint64_t now) {
    Bucket& bucket = bucket_of(payer);
    if (bucket.filled_at == now) return bucket;
    const double elapsed = static_cast<double>(now - bucket.filled_at);
    bucket.tokens += elapsed * per_millisecond_;
    if (bucket.tokens > burst_) bucket.tokens = burst_;
    bucket.filled_at = now;
    bucket.spent = 0;
    return bucket;
  }

  double per_millisecond_ = 0;
  double burst_ = 1;
  bool lifted_ = false;
  std::vector<Bucket> instances_;  // by slot
  std::array<Bucket, kUserPayers> users_;
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_RATE_LIMITER_H_
