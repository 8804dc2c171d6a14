#ifndef DEVLXD_OS_UNIX_SOCKET_H_
#define DEVLXD_OS_UNIX_SOCKET_H_

#include <string>
#include <string_view>
#include <vector>

#include "os/kernel.h"
#include "os/own_fd.h"

namespace devlxd {

// What goes from one process to another: bytes, and descriptors beside them (SCM_RIGHTS, at most
// 253 in one message).
struct Message {
  std::string bytes;  // none, and no failure: the other side has closed
  std::vector<OwnFd> descriptors;
  Failure failure;
};

// A blocking connection to a Unix stream socket.
OwnFd connect_unix(const std::string& path, Failure& failure);

// Sends all of it; waits, but not for ever, for a reader that is behind. The descriptors stay the
// caller's.
Failure send_message(int socket, std::string_view bytes, const std::vector<int>& descriptors);

// Waits for what comes next: not for the event loop's thread.
Message receive_message(int socket);

// sd_notify(3): one datagram for the service manager. path: $NOTIFY_SOCKET; "@" begins an abstract
// name.
Failure notify_manager(const std::string& path, std::string_view text,
                       const std::vector<int>& descriptors);

}  // namespace devlxd

#endif  // DEVLXD_OS_UNIX_SOCKET_H_
