#include "histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace devlxd::bench {

void Histogram::add(uint64_t value) {
  counts_[bucket_of(value)]++;
  count_++;
  max_ = std::max(max_, value);
}

uint64_t Histogram::percentile(double percent) const {
  if (count_ == 0) return 0;
  const double share = std::ceil(static_cast<double>(count_) * percent / 100);
  const uint64_t rank = std::clamp<uint64_t>(static_cast<uint64_t>(share), 1, count_);
  uint64_t seen = 0;
  for (int bucket = 0; bucket < kBuckets; bucket++) {
    seen += counts_[bucket];
    if (seen >= rank) return std::min(middle_of(bucket), max_);
  }
  return max_;
}

int Histogram::bucket_of(uint64_t value) {
  const int shift = std::max(static_cast<int>(std::bit_width(value)) - kHalfBits - 1, 0);
  return shift * kHalf + static_cast<int>(value >> shift);
}

uint64_t Histogram::middle_of(int bucket) {
  const int shift = std::max(bucket / kHalf - 1, 0);
  const auto first = static_cast<uint64_t>(bucket - shift * kHalf) << shift;
  return first + (uint64_t{1} << shift) / 2;
}

}  // namespace devlxd::bench
