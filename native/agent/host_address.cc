#include "agent/host_address.h"

#include <linux/vm_sockets.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <utility>

#include "os/unix_address.h"
#include "os/vsock.h"

namespace devlxd::agent {
namespace {

constexpr unsigned kFirstRootPort = 512;

OwnFd stream_socket(int family) {
  return OwnFd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

bool is_connecting(int result) { return result == 0 || errno == EINPROGRESS; }

sockaddr_vm vsock_address(unsigned cid, unsigned port) {
  sockaddr_vm address = {};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  return address;
}

// Without the capability to bind such a port the connection is a user's, and no worse than that.
void bind_root_port(int fd) {
  static unsigned next = kFirstRootPort;
  for (unsigned tried = kFirstRootPort; tried < kFirstUserPort; tried++) {
    const sockaddr_vm address = vsock_address(VMADDR_CID_ANY, next);
    next = next + 1 == kFirstUserPort ? kFirstRootPort : next + 1;
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
    if (errno != EADDRINUSE) return;
  }
}

}  // namespace

bool HostAddress::parse(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) {
    unix_path = text.substr(kUnix.size());
    return !unix_path.empty();
  }
  const char* begin = text.begin();
  const char* end = text.end();
  const auto [stopped, error] = std::from_chars(begin, end, port);
  return error == std::errc() && stopped == end && port > 0;
}

OwnFd HostAddress::connect(bool root) const {
  if (!unix_path.empty()) {
    OwnFd fd = stream_socket(AF_UNIX);
    const UnixAddress address(unix_path);
    if (!fd.valid() || !is_connecting(::connect(fd.get(), address.get(), address.length)))
      return OwnFd();
    return fd;
  }
  OwnFd fd = stream_socket(AF_VSOCK);
  if (!fd.valid()) return fd;
  if (root) bind_root_port(fd.get());
  const sockaddr_vm host = vsock_address(VMADDR_CID_HOST, port);
  const auto* address = reinterpret_cast<const sockaddr*>(&host);
  return is_connecting(::connect(fd.get(), address, sizeof host)) ? std::move(fd) : OwnFd();
}

}  // namespace devlxd::agent
