#ifndef DEVLXD_TOOLS_GUESTS_SPAWN_H_
#define DEVLXD_TOOLS_GUESTS_SPAWN_H_

#include <sys/types.h>

#include <string>

#include "os/own_fd.h"

namespace devlxd::guests {

struct SpawnOptions {
  unsigned uid_base = 1000000;   // host uid of the guest's uid 0, when we are root
  bool mount_namespace = false;  // with a /proc of its own
  bool only_socket = false;      // the guest starts with stdio and its socket, nothing else
};

// One side of a new guest. In the guest pid is 0, in its parent -1 with the error's text on
// failure.
struct Spawned {
  pid_t pid = -1;
  OwnFd socket;  // SOCK_SEQPACKET, to the other side
  std::string error;
};

// Clones a process that is pid 1 of a new pid namespace, in a new user namespace. It returns in
// both when the id maps are written and the guest is uid 0 in there. The guest is killed when its
// parent dies.
Spawned spawn_guest(const SpawnOptions& options);

// "CALL ERRNO-NAME reason", with what to do about it where that is known.
std::string describe(const std::string& call, int code);

// Prints that to standard error.
void complain(const std::string& call, int code);

// Writes text to a file of /proc; false with errno set on failure.
bool write_file(const std::string& path, const std::string& text);

}  // namespace devlxd::guests

#endif  // DEVLXD_TOOLS_GUESTS_SPAWN_H_
