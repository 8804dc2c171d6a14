#ifndef DEVLXD_OS_TCP_SOCKET_H_
#define DEVLXD_OS_TCP_SOCKET_H_

#include <cstdint>
#include <string>

#include "os/kernel.h"
#include "os/own_fd.h"

namespace devlxd {

// Binds a TCP socket and listens on it. address: a literal of IPv4 or IPv6; EINVAL: it is none.
OwnFd listen_tcp(const std::string& address, uint16_t port, int backlog, Failure& failure);

}  // namespace devlxd

#endif  // DEVLXD_OS_TCP_SOCKET_H_
