#ifndef DEVLXD_OS_UNIX_SOCKET_H_
#define DEVLXD_OS_UNIX_SOCKET_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "os/kernel.h"
#include "os/own_fd.h"

namespace devlxd {

inline constexpr int kSendTimeoutMilliseconds = 5000;

// A message between processes: bytes, and descriptors sent with them (SCM_RIGHTS, at most 253).
struct Message {
  std::string bytes;  // none, and no failure: the other side has closed
  std::vector<OwnFd> descriptors;
  Failure failure;
};

// Binds a Unix stream socket with exactly these permissions and listens on it. A socket file
// without a listener is replaced; EADDRINUSE: another process listens.
OwnFd listen_unix(const std::string& path, mode_t mode, int backlog, Failure& failure);

// A blocking connection to a Unix stream socket.
OwnFd connect_unix(const std::string& path, Failure& failure);

// Sends all bytes; waits so long for a slow reader each time, then fails with EAGAIN. The caller
// keeps its descriptors.
Failure send_message(int socket, std::string_view bytes, const std::vector<int>& descriptors,
                     int wait_milliseconds = kSendTimeoutMilliseconds);

// Blocks until the next message, at most for this time (-1: no limit), then fails with ETIMEDOUT.
// Never call it on the event loop.
Message receive_message(int socket, int wait_milliseconds = -1);

// sd_notify(3): one datagram for the service manager. path: $NOTIFY_SOCKET; "@" begins an abstract
// name.
Failure notify_manager(const std::string& path, std::string_view text,
                       const std::vector<int>& descriptors,
                       int wait_milliseconds = kSendTimeoutMilliseconds);

}  // namespace devlxd

#endif  // DEVLXD_OS_UNIX_SOCKET_H_
