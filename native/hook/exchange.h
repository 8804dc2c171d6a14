#ifndef DEVLXD_HOOK_EXCHANGE_H_
#define DEVLXD_HOOK_EXCHANGE_H_

#include <string>

namespace devlxd::hook {

// Sends the request to the daemon that listens on this path, and gives its whole answer, or as much
// of it as an answer to a hook may have. problem: why there is none, for the operator.
std::string exchange(const std::string& path, const std::string& request, std::string& problem);

}  // namespace devlxd::hook

#endif  // DEVLXD_HOOK_EXCHANGE_H_
