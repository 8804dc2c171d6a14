#ifndef DEVLXD_GUESTS_SPAWN_H_
#define DEVLXD_GUESTS_SPAWN_H_

#include <sys/types.h>

#include <string>

#include "../own_fd.h"

namespace devlxd::guests {

struct SpawnOptions {
  unsigned uid_base = 1000000;    // host uid of the guest's uid 0, when we are root
  bool mount_namespace = false;
};

// Forks a process that is pid 1 of a new pid namespace, in a new user namespace. In the child this
// returns 0 once the id maps are written and it is uid 0 in there; in the parent the child's pid, or
// -1 with the failed call on standard error. The child is killed when its parent dies.
pid_t spawn_guest(const SpawnOptions& options);

// Prints "guests: CALL: reason" with what to do about it where that is known.
void complain(const char* call, int code);

// Writes text to a file of /proc; false with errno set on failure.
bool write_file(const std::string& path, const std::string& text);

}  // namespace devlxd::guests

#endif  // DEVLXD_GUESTS_SPAWN_H_
