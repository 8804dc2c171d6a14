#include "os/vsock.h"

#include <linux/vm_sockets.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace devlxd {
namespace {

using AskAddress = int (*)(int, sockaddr*, socklen_t*);

std::optional<sockaddr_vm> address_of(AskAddress ask, int fd) {
  sockaddr_storage storage = {};
  socklen_t size = sizeof storage;
  if (ask(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return std::nullopt;
  if (storage.ss_family != AF_VSOCK) return std::nullopt;
  return *reinterpret_cast<const sockaddr_vm*>(&storage);
}

}  // namespace

OwnFd listen_vsock(uint32_t port, int backlog, Failure& failure) {
  sockaddr_vm address = {};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;  // the host's own is there only once vhost_vsock is loaded
  address.svm_port = port;
  OwnFd fd(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) {
    failure = {"socket", errno};
  } else if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    failure = {"bind", errno};
  } else if (listen(fd.get(), backlog) != 0) {
    failure = {"listen", errno};
  }
  return failure ? OwnFd() : std::move(fd);
}

std::optional<uint32_t> vsock_port(int fd) {
  const auto own = address_of(getsockname, fd);
  return own ? std::optional(own->svm_port) : std::nullopt;
}

std::optional<VsockPeer> vsock_peer(int fd) {
  const auto peer = address_of(getpeername, fd);
  if (!peer || peer->svm_cid < kFirstGuestCid) return std::nullopt;
  // vhost_vsock takes only what is sent to this context id. Where this host is a machine itself,
  // others beside it send to another one, and their context ids may be those of our machines.
  const auto own = address_of(getsockname, fd);
  if (!own || own->svm_cid != VMADDR_CID_HOST) return std::nullopt;
  return VsockPeer{peer->svm_cid, peer->svm_port};
}

bool was_reset(int fd) {
  pollfd state = {fd, 0, 0};
  return poll(&state, 1, 0) != 0 && (state.revents & POLLERR) != 0;
}

}  // namespace devlxd
