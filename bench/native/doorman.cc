#include "doorman.h"

#include <sys/socket.h>

#include "os/kernel.h"
#include "os/own_fd.h"

namespace devlxd::bench {

bool Doorman::knows(int fd) {
  ucred credentials;
  socklen_t size = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return false;
  return care_ == Care::kCredentials || identifies(fd);
}

bool Doorman::identifies(int fd) {
  int number = -1;
  socklen_t size = sizeof number;
  if (getsockopt(fd, SOL_SOCKET, kSoPeerPidfd, &number, &size) != 0) return false;
  const OwnFd pidfd(number);
  const OwnFd space(ioctl(pidfd.get(), kPidfdGetPidNamespace, 0));
  uint64_t id = 0;
  if (!space.valid() || ioctl(space.get(), kNsGetId, &id) != 0) return false;
  connections_of_namespace_[id]++;
  return true;
}

}  // namespace devlxd::bench
