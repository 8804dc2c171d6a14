#ifndef DEVLXD_HOOK_JSON_H_
#define DEVLXD_HOOK_JSON_H_

#include <string>
#include <string_view>

namespace devlxd::hook {

// The text as a string of JSON, quotes included. A byte that is no UTF-8 becomes a lone surrogate,
// U+DC00 and the byte, which no reader takes for text: it can say where it is.
std::string json_string(std::string_view text);

}  // namespace devlxd::hook

#endif  // DEVLXD_HOOK_JSON_H_
