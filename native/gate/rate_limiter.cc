#include "gate/rate_limiter.h"

#include <algorithm>

namespace devlxd {

namespace {

constexpr double kMillisecondsPerSecond = 1000;

}  // namespace

void RateLimiter::set(uint32_t per_second, uint32_t burst) {
  per_millisecond_ = per_second / kMillisecondsPerSecond;
  burst_ = std::max(burst, 1u);
}

// Also where there is no limit: there may be one before the slot is another's again.
void RateLimiter::reset(Slot slot) {
  if (slot >= buckets_.size()) buckets_.resize(slot + 1);
  // Since 0, so that the first refill fills it.
  buckets_[slot] = {burst_, 0};
}

}  // namespace devlxd
