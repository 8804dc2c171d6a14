#ifndef DEVLXD_GATE_HISTOGRAM_H_
#define DEVLXD_GATE_HISTOGRAM_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace devlxd {

// How often something took how long, by upper bounds.
class Histogram {
 public:
  // Nanoseconds. What took longer counts behind the last one.
  static constexpr std::array<uint64_t, 15> kBounds = {
      100'000,     250'000,     500'000,       1'000'000,     2'500'000,
      5'000'000,   10'000'000,  25'000'000,    50'000'000,    100'000'000,
      250'000'000, 500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000,
  };
  using Counts = std::array<uint64_t, kBounds.size() + 1>;

  void add(uint64_t nanoseconds) {
    size_t at = 0;
    while (at < kBounds.size() && nanoseconds > kBounds[at]) at++;
    counts_[at]++;
    sum_ += nanoseconds;
  }

  const Counts& counts() const { return counts_; }  // each without those before it
  uint64_t sum() const { return sum_; }             // nanoseconds

 private:
  Counts counts_ = {};
  uint64_t sum_ = 0;
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_HISTOGRAM_H_
