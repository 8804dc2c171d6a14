#include "os/unix_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstring>

#include "os/unix_address.h"

namespace devlxd {
namespace {

constexpr size_t kMostDescriptors = 253;  // SCM_MAX_FD, include/net/scm.h
constexpr int kConnectTimeoutSeconds = 5;

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

bool wait_for(int socket, short event, int wait_milliseconds) {
  pollfd ready = {.fd = socket, .events = event, .revents = 0};
  int count = 0;
  do {
    count = poll(&ready, 1, wait_milliseconds);
  } while (count < 0 && errno == EINTR);
  return count == 1;
}

// ETOOMANYREFS: too many descriptors are sent and not received yet.
bool is_passing(int error) { return error == EAGAIN || error == ENOBUFS || error == ETOOMANYREFS; }

ssize_t send_once(int socket, const msghdr& header, int wait_milliseconds) {
  for (;;) {
    const ssize_t sent = sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0 || (errno != EINTR && !is_passing(errno))) return sent;
    const int error = errno;
    if (error != EINTR && !wait_for(socket, POLLOUT, wait_milliseconds)) {
      errno = EAGAIN;
      return -1;
    }
  }
}

bool has_listener(const UnixAddress& address) {
  const OwnFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return connect(probe.get(), address.get(), address.length) == 0 || errno == EAGAIN;  // full
}

OwnFd connect_to(const std::string& path, int type, Failure& failure) {
  const UnixAddress address(path);
  OwnFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const timeval timeout = {.tv_sec = kConnectTimeoutSeconds, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);  // a full backlog blocks
  if (address.length == 0) {
    failure = {"connect", ENAMETOOLONG};
  } else if (!fd.valid()) {
    failure = {"socket", errno};
  } else if (connect(fd.get(), address.get(), address.length) != 0) {
    failure = {"connect", errno};
  }
  return failure ? OwnFd() : std::move(fd);
}

}  // namespace

OwnFd listen_unix(const std::string& path, mode_t mode, int backlog, Failure& failure) {
  const UnixAddress address(path);
  if (address.length == 0) {
    failure = {"bind", ENAMETOOLONG};
    return OwnFd();
  }
  struct stat status;
  if (lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) {
    if (has_listener(address)) {
      failure = {"bind", EADDRINUSE};
      return OwnFd();
    }
    unlink(path.c_str());
  }
  OwnFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const mode_t before = umask(~mode & 0777);  // so that there is no moment with other permissions
  const int bound = bind(fd.get(), address.get(), address.length);
  failure = bound == 0 ? Failure{} : Failure{"bind", errno};
  umask(before);
  if (!failure && listen(fd.get(), backlog) != 0) failure = {"listen", errno};
  return failure ? OwnFd() : std::move(fd);
}

OwnFd connect_unix(const std::string& path, Failure& failure) {
  return connect_to(path, SOCK_STREAM, failure);
}

Failure send_message(int socket, std::string_view bytes, const std::vector<int>& descriptors,
                     int wait_milliseconds) {
  if (descriptors.size() > kMostDescriptors) return {"sendmsg", E2BIG};
  bool first = true;
  while (!bytes.empty()) {
    Envelope envelope(const_cast<char*>(bytes.data()), bytes.size());
    if (first) envelope.attach(descriptors);  // with the first byte: a part may be sent at a time
    const ssize_t sent = send_once(socket, envelope.header, wait_milliseconds);
    if (sent < 0) return {"sendmsg", errno};
    bytes.remove_prefix(static_cast<size_t>(sent));
    first = false;
  }
  return {};
}

Message receive_message(int socket, int wait_milliseconds) {
  Message message;
  if (!wait_for(socket, POLLIN, wait_milliseconds)) {
    message.failure = {"poll", ETIMEDOUT};
    return message;
  }
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
  // Descriptors that did not fit are lost, and with them the connections they belong to.
  if ((envelope.header.msg_flags & MSG_CTRUNC) != 0) message.failure = {"recvmsg", EMFILE};
  message.bytes.assign(buffer, static_cast<size_t>(received));
  return message;
}

Failure notify_manager(const std::string& path, std::string_view text,
                       const std::vector<int>& descriptors, int wait_milliseconds) {
  Failure failure;
  std::string name = path;
  if (name.starts_with('@')) name[0] = '\0';
  const OwnFd manager = connect_to(name, SOCK_DGRAM, failure);
  return failure ? failure : send_message(manager.get(), text, descriptors, wait_milliseconds);
}

}  // namespace devlxd
