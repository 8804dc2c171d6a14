#ifndef DEVLXD_AGENT_HOST_ADDRESS_H_
#define DEVLXD_AGENT_HOST_ADDRESS_H_

#include <string>
#include <string_view>

#include "os/own_fd.h"

namespace devlxd::agent {

// Where the host's devlxd listens: vsock(7) as the machine sees it, or, to try an agent without a
// machine, a Unix socket.
struct HostAddress {
  unsigned port = 1234;   // at context id 2, the host
  std::string unix_path;  // instead, when it is not empty

  // From "1234" or "unix:PATH"; false: it is neither.
  bool parse(std::string_view text);

  // A non-blocking connection that is being made: it polls writable when SO_ERROR tells how it
  // went. root: from a source port below 1024, by which the host knows that root of the machine
  // asks. Invalid, with errno: it failed at once.
  OwnFd connect(bool root) const;
};

}  // namespace devlxd::agent

#endif  // DEVLXD_AGENT_HOST_ADDRESS_H_
