#ifndef DEVLXD_IDENTITY_PROCFS_H_
#define DEVLXD_IDENTITY_PROCFS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace devlxd {

// Host uid to which uid 0 of a user namespace maps. text is /proc/PID/uid_map: lines of
// "inside outside count" (user_namespaces(7)). Nothing when no line covers 0,
// or the reader's own user namespace has no such uid.
std::optional<uid_t> root_uid_of_map(std::string_view text);

// Start of the process in clock ticks since boot: field 22 of /proc/PID/stat (proc(5)). The second
// field is the process's own name and may hold anything, so fields are counted from its last ")".
std::optional<uint64_t> start_of_stat(std::string_view text);

// The pid that the process has in its own, innermost pid namespace: the last number of the "NSpid:"
// line of /proc/PID/status (proc(5), Linux 4.1).
std::optional<pid_t> innermost_pid_of_status(std::string_view text);

// The same, read from /proc. Nothing when the process is gone; the caller proves with a pidfd that
// the number still meant the process it asked about.
std::optional<uid_t> root_uid(pid_t pid);
std::optional<uint64_t> start_ticks(pid_t pid);
std::optional<pid_t> innermost_pid(pid_t pid);

// How many pid numbers there are before they come round: /proc/sys/kernel/pid_max.
uint64_t pid_max();

}  // namespace devlxd

#endif  // DEVLXD_IDENTITY_PROCFS_H_
