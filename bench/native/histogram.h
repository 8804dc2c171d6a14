#ifndef DEVLXD_BENCH_HISTOGRAM_H_
#define DEVLXD_BENCH_HISTOGRAM_H_

#include <array>
#include <cstdint>

namespace devlxd::bench {

// Counts of values, log-linear as in HdrHistogram: below 256 each value has its own bucket, above
// it each power of two is divided into 128, so what a percentile says is within 0.4 % of a value
// that was recorded. Every value is counted; nothing is sampled.
class Histogram {
 public:
  void add(uint64_t value);
  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }

  // The given percentile of all values; 0 when there are none.
  uint64_t percentile(double percent) const;

 private:
  static constexpr int kHalfBits = 7;
  static constexpr int kHalf = 1 << kHalfBits;
  static constexpr int kBuckets = (64 - kHalfBits + 1) * kHalf;

  static int bucket_of(uint64_t value);
  static uint64_t middle_of(int bucket);

  std::array<uint64_t, kBuckets> counts_ = {};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_HISTOGRAM_H_
