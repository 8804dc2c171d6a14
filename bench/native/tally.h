#ifndef DEVLXD_BENCH_TALLY_H_
#define DEVLXD_BENCH_TALLY_H_

#include <cstdint>
#include <string_view>

#include "answer_parser.h"
#include "os/kernel.h"

namespace devlxd::bench {

// What went wrong. The first fault of each kind is described on standard error, the rest counted.
class Tally {
 public:
  // A connection that could not be made, or did not bring its answer.
  void error(std::string_view what);
  void error(const Failure& failure);

  // An answer that was not the expected one. received: the last bytes that came.
  void mismatch(const AnswerParser& answer, std::string_view received);

  uint64_t errors() const { return errors_; }
  uint64_t mismatches() const { return mismatches_; }
  bool clean() const { return errors_ == 0 && mismatches_ == 0; }
  // More of them would say nothing new.
  bool hopeless() const { return errors_ >= kHopeless; }

 private:
  static constexpr uint64_t kHopeless = 1000;

  uint64_t errors_ = 0;
  uint64_t mismatches_ = 0;
};

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_TALLY_H_
