#ifndef DEVLXD_BENCH_READ_COUNT_H_
#define DEVLXD_BENCH_READ_COUNT_H_

#include <charconv>
#include <cstring>

namespace devlxd::bench {

// A whole number of at least `least` from the command line; false when the text is none.
template <typename Number>
bool read_count(const char* text, Number& count, Number least = 1) {
  const char* end = text + strlen(text);
  const auto [stop, problem] = std::from_chars(text, end, count);
  return problem == std::errc() && stop == end && count >= least;
}

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_READ_COUNT_H_
