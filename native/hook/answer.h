#ifndef DEVLXD_HOOK_ANSWER_H_
#define DEVLXD_HOOK_ANSWER_H_

#include <optional>
#include <string>
#include <string_view>

namespace devlxd::hook {

// What the daemon's whole answer, head and body, has against the order, in one line that a log
// takes; nothing when it is carried out.
std::optional<std::string> complaint_in(std::string_view answer);

}  // namespace devlxd::hook

#endif  // DEVLXD_HOOK_ANSWER_H_
