#ifndef DEVLXD_OS_VSOCK_H_
#define DEVLXD_OS_VSOCK_H_

#include <cstdint>
#include <optional>

#include "os/kernel.h"
#include "os/own_fd.h"

namespace devlxd {

// Context ids of vsock(7): 0 to 2 are the hypervisor, the machine itself, and the host.
constexpr uint32_t kNoCid = 0;
constexpr uint32_t kFirstGuestCid = 3;

// Ports below need CAP_NET_BIND_SERVICE in the machine that binds them.
constexpr uint32_t kFirstUserPort = 1024;

// A virtual machine at the other end of a connection.
struct VsockPeer {
  uint32_t cid = kNoCid;
  uint32_t port = 0;
};

// Binds a stream socket of vsock(7) to a port and listens on it. It takes connections of other
// machines than this host's too: vsock_peer() tells them apart.
OwnFd listen_vsock(uint32_t port, int backlog, Failure& failure);

// The port that a socket of vsock(7) is bound to; none: it is another socket.
std::optional<uint32_t> vsock_port(int fd);

// The virtual machine of this host that has connected; none: another socket, or a connection of
// this host itself, of its own hypervisor, or of a machine beside it.
std::optional<VsockPeer> vsock_peer(int fd);

// Has the connection been reset? The kernel does so when the virtual machine ends; what it has sent
// could still be read. Unlike SO_ERROR this leaves the sign where it is.
bool was_reset(int fd);

}  // namespace devlxd

#endif  // DEVLXD_OS_VSOCK_H_
