#ifndef DEVLXD_BENCH_LOAD_OPTIONS_H_
#define DEVLXD_BENCH_LOAD_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

namespace devlxd::bench {

struct LoadOptions {
  enum class Mode { kKeepAlive, kConnect };

  std::string socket;
  std::string path = "/1.0";
  Mode mode = Mode::kKeepAlive;
  uint64_t connections = 64;
  double seconds = 5;
  double warmup = 1;
  double rate = 0;  // requests per second; 0: each connection asks as soon as it is answered
  std::optional<int> expect_status;  // 200, or 101 with upgrade
  std::optional<std::string> expect_body;
  std::optional<std::string> patch;
  uint64_t requests = 0;  // after which it ends; 0: time alone decides
  uint64_t hold = 0;
  bool upgrade = false;
  bool once = false;

  int status() const { return expect_status.value_or(upgrade ? 101 : 200); }
  std::string request() const;
  std::string patch_request(uint64_t connection, uint64_t number) const;
  const std::string* body() const { return expect_body ? &*expect_body : nullptr; }
};

// The options, or the exit code to end with when there is nothing to be done.
struct ParsedOptions {
  LoadOptions options;
  std::optional<int> exit_code;
};

ParsedOptions parse_load_options(int argc, char** argv);

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_LOAD_OPTIONS_H_
