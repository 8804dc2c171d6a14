#include "tally.h"

#include <cstdio>
#include <cstring>
#include <string>

namespace devlxd::bench {
namespace {

constexpr size_t kShown = 400;

}  // namespace

void Tally::error(std::string_view what) {
  if (errors_++ > 0) return;
  fprintf(stderr, "bench_load: %s\n", std::string(what).c_str());
}

void Tally::error(const Failure& failure) {
  error(std::string(failure.call) + ": " + strerror(failure.code));
}

void Tally::mismatch(const AnswerParser& answer, std::string_view received) {
  if (mismatches_++ > 0) return;
  fprintf(stderr, "bench_load: status %d, body %s; it ended with:\n%s\n", answer.status(),
          answer.body_matches() ? "as expected" : "not the expected one",
          std::string(received.substr(0, kShown)).c_str());
}

}  // namespace devlxd::bench
