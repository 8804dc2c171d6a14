#ifndef DEVLXD_HOOK_REQUEST_H_
#define DEVLXD_HOOK_REQUEST_H_

#include <string>
#include <string_view>
#include <vector>

namespace devlxd::hook {

// What a runtime has told the hook.
struct Order {
  std::string runtime;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  // NAME=VALUE
  std::string input;
};

// The order as the request that src/control/hook-handlers.ts reads.
std::string request_of(const Order& order);

}  // namespace devlxd::hook

#endif  // DEVLXD_HOOK_REQUEST_H_
