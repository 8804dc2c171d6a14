#ifndef DEVLXD_OS_PEER_CREDENTIALS_H_
#define DEVLXD_OS_PEER_CREDENTIALS_H_

#include <sys/socket.h>

#include <optional>

namespace devlxd {

// The process that called connect(2), in this process's namespaces: SO_PEERCRED, unix(7).
inline std::optional<ucred> peer_credentials(int fd) {
  ucred credentials = {};
  socklen_t size = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  return credentials;
}

}  // namespace devlxd

#endif  // DEVLXD_OS_PEER_CREDENTIALS_H_
