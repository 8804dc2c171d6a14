#ifndef DEVLXD_TEST_CHECK_H_
#define DEVLXD_TEST_CHECK_H_

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace devlxd {

inline std::atomic<int> checks = 0;

}  // namespace devlxd

#define CHECK(condition)                                                      \
  do {                                                                        \
    ++devlxd::checks;                                                         \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

#endif  // DEVLXD_TEST_CHECK_H_
