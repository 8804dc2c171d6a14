#include "os/unix_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

namespace devlxd {
namespace {

constexpr size_t kMostDescriptors = 253;  // SCM_MAX_FD, include/net/scm.h
constexpr int kPatienceMilliseconds = 5000;

// One message, with room for as many descriptors as the kernel takes.
struct Envelope {
  iovec data = {};
  msghdr header = {};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))] = {};

  Envelope(void* bytes, size_t size) {
    data = {.iov_base = bytes, .iov_len = size};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
  }

  void attach(const std::vector<int>& descriptors) {
    if (descriptors.empty()) return;
    const size_t size = descriptors.size() * sizeof(int);
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(size);
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(rights), descriptors.data(), size);
  }
};

bool wait_for_room(int socket) {
  pollfd writable = {.fd = socket, .events = POLLOUT, .revents = 0};
  return poll(&writable, 1, kPatienceMilliseconds) == 1;
}

bool is_passing(int error) { return error == EAGAIN || error == ENOBUFS; }

ssize_t send_once(int socket, const msghdr& header) {
  for (;;) {
    const ssize_t sent = sendmsg(socket, &header, MSG_NOSIGNAL);
    if (sent >= 0 || !(errno == EINTR || (is_passing(errno) && wait_for_room(socket)))) return sent;
  }
}

// Length of an address with this path, or 0 when it is too long.
socklen_t address_of(const std::string& path, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return 0;
  memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() +
                                (path[0] == '@' ? 0 : 1));
}

OwnFd connect_to(const std::string& path, int type, Failure& failure) {
  sockaddr_un address;
  const socklen_t length = address_of(path, address);
  OwnFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (length == 0) {
    failure = {"connect", ENAMETOOLONG};
  } else if (!fd.valid()) {
    failure = {"socket", errno};
  } else if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) {
    failure = {"connect", errno};
  }
  return failure ? OwnFd() : std::move(fd);
}

}  // namespace

OwnFd connect_unix(const std::string& path, Failure& failure) {
  return connect_to(path, SOCK_STREAM, failure);
}

Failure send_message(int socket, std::string_view bytes, const std::vector<int>& descriptors) {
  if (descriptors.size() > kMostDescriptors) return {"sendmsg", E2BIG};
  bool first = true;
  while (!bytes.empty()) {
    Envelope envelope(const_cast<char*>(bytes.data()), bytes.size());
    if (first) envelope.attach(descriptors);  // with the first byte: a part may be sent at a time
    const ssize_t sent = send_once(socket, envelope.header);
    if (sent < 0) return {"sendmsg", errno};
    bytes.remove_prefix(static_cast<size_t>(sent));
    first = false;
  }
  return {};
}

Message receive_message(int socket) {
  Message message;
  char buffer[65536];
  Envelope envelope(buffer, sizeof buffer);
  envelope.header.msg_control = envelope.control;
  envelope.header.msg_controllen = sizeof envelope.control;
  ssize_t received = 0;
  do {
    received = recvmsg(socket, &envelope.header, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) {
    message.failure = {"recvmsg", errno};
    return message;
  }
  for (cmsghdr* part = CMSG_FIRSTHDR(&envelope.header); part != nullptr;
       part = CMSG_NXTHDR(&envelope.header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
      int fd = -1;
      memcpy(&fd, reinterpret_cast<char*>(part) + at, sizeof fd);
      message.descriptors.emplace_back(fd);
    }
  }
  // Descriptors that did not fit are lost, and with them what they belong to.
  if ((envelope.header.msg_flags & MSG_CTRUNC) != 0) message.failure = {"recvmsg", EMFILE};
  message.bytes.assign(buffer, static_cast<size_t>(received));
  return message;
}

Failure notify_manager(const std::string& path, std::string_view text,
                       const std::vector<int>& descriptors) {
  Failure failure;
  const OwnFd manager = connect_to(path, SOCK_DGRAM, failure);
  return failure ? failure : send_message(manager.get(), text, descriptors);
}

}  // namespace devlxd
