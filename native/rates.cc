#include "rates.h"

#include <algorithm>

namespace devlxd {

namespace {

constexpr double kMillisecondsPerSecond = 1000;

}  // namespace

Rates::Rates(uint32_t per_second, uint32_t burst)
    : per_millisecond_(per_second / kMillisecondsPerSecond), burst_(std::max(burst, 1u)) {}

void Rates::reset(Slot slot) {
  if (!limited()) return;
  if (slot >= buckets_.size()) buckets_.resize(slot + 1);
  // Since 0, so that the first refill fills it.
  buckets_[slot] = {burst_, 0};
}

}  // namespace devlxd
