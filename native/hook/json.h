#ifndef DEVLXD_HOOK_JSON_H_
#define DEVLXD_HOOK_JSON_H_

#include <string>
#include <string_view>

namespace devlxd::hook {

// The text as a string of JSON, quotes included. Bytes that are no UTF-8 stay as they are, for the
// reader to replace.
std::string json_string(std::string_view text);

}  // namespace devlxd::hook

#endif  // DEVLXD_HOOK_JSON_H_
