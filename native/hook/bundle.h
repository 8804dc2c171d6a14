#ifndef DEVLXD_HOOK_BUNDLE_H_
#define DEVLXD_HOOK_BUNDLE_H_

#include <optional>
#include <string>
#include <string_view>

namespace devlxd::hook {

// The text of a bundle's config.json with one more hook (its JSON) in createRuntime and in
// poststop. Every other byte stays as it is. Nothing, when it is no such configuration, or has a
// hook of devlxd already.
std::optional<std::string> with_hooks(std::string_view configuration, std::string_view hook);

// A string among the members of a JSON object, as it is written; empty, when there is none.
std::string_view string_in(std::string_view object, std::string_view key);

}  // namespace devlxd::hook

#endif  // DEVLXD_HOOK_BUNDLE_H_
