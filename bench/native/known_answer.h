#ifndef DEVLXD_BENCH_KNOWN_ANSWER_H_
#define DEVLXD_BENCH_KNOWN_ANSWER_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace devlxd::bench {

// The bytes of an answer that was read and found right. Others that are the same need not be read
// again, so that the load costs less than what it measures.
class KnownAnswer {
 public:
  void remember(std::string_view answer);

  // The same bytes but for the date.
  bool equals(std::string_view answer) const;

 private:
  std::string answer_;
  size_t date_ = 0;  // where its value begins
  size_t rest_ = 0;  // where what follows the value begins
};

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_KNOWN_ANSWER_H_
