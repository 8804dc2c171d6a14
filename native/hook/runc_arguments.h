#ifndef DEVLXD_HOOK_RUNC_ARGUMENTS_H_
#define DEVLXD_HOOK_RUNC_ARGUMENTS_H_

#include <optional>
#include <string>
#include <vector>

namespace devlxd::hook {

// What devlxd-runc was called with.
struct RuncArguments {
  std::string runtime = "runc";         // --devlxd-runtime=
  std::vector<std::string> hook_words;  // of devlxd-hook, for --devlxd-run-dir= and the like
  std::vector<std::string> words;       // the runtime's own
  std::optional<std::string> bundle;    // of a container that is created
};

// Options before the subcommand that begin with --devlxd- are ours, others pass through. Options
// are read as the runtimes read them: with one hyphen or two, the value behind "=" or as the next
// word, before or behind the container's id.
RuncArguments parse_runc_arguments(const std::vector<std::string>& words);

}  // namespace devlxd::hook

#endif  // DEVLXD_HOOK_RUNC_ARGUMENTS_H_
