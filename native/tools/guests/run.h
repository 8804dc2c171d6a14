#ifndef DEVLXD_TOOLS_GUESTS_RUN_H_
#define DEVLXD_TOOLS_GUESTS_RUN_H_

#include <string>
#include <vector>

#include "tools/guests/spawn.h"

namespace devlxd::guests {

struct RunOptions {
  SpawnOptions spawn;
  int pid_fd = -1;   // gets the pid of the guest's init, as a line
  int wait_fd = -1;  // the command starts after one byte, or the end, of this
  std::vector<std::pair<std::string, std::string>> binds;  // source, target
  std::vector<char*> command;
};

// Runs one command in a guest of its own and returns its exit code, 128 + N for signal N.
int run(RunOptions options);

}  // namespace devlxd::guests

#endif  // DEVLXD_TOOLS_GUESTS_RUN_H_
