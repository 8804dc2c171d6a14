#ifndef DEVLXD_FUZZ_REQUIRE_H_
#define DEVLXD_FUZZ_REQUIRE_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>

// libFuzzer keeps the input for which this was not so.
#define REQUIRE(condition)                                                    \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                                \
    }                                                                         \
  } while (0)

// libFuzzer calls it again and again, each time with a copy of exactly this size, so that the
// sanitizers see every byte read beyond.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

#endif  // DEVLXD_FUZZ_REQUIRE_H_
