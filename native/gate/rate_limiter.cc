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

}  // namespace devlxd
