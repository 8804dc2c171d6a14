#include "tools/guests/message.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

namespace devlxd::guests {
namespace {

constexpr size_t kMostBytes = 128 * 1024;  // a reply to "spawn 10000" has 80,000
char buffer[kMostBytes];

void take_part(const cmsghdr* part, Message& message) {
  if (part->cmsg_level != SOL_SOCKET) return;
  if (part->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    memcpy(&fd, CMSG_DATA(part), sizeof fd);
    message.fd = OwnFd(fd);
  } else if (part->cmsg_type == SCM_CREDENTIALS) {
    ucred sender;
    memcpy(&sender, CMSG_DATA(part), sizeof sender);
    message.sender = sender.pid;
  }
}

}  // namespace

bool make_socketpair(OwnFd& first, OwnFd& second) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return false;
  first = OwnFd(pair[0]);
  second = OwnFd(pair[1]);
  return true;
}

bool set_patience(int socket, int patience_seconds) {
  const timeval patience = {patience_seconds, 0};
  return setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0;
}

bool send_message(int socket, const std::string& text, int fd) {
  iovec bytes = {const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = {};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket, &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(text.size());
}

bool receive_message(int socket, Message& message) {
  iovec bytes = {buffer, sizeof buffer};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(ucred))];
  msghdr header = {};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t received;
  do {
    received = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received == 0) errno = ECONNRESET;
  if (received <= 0) return false;
  message.text.assign(buffer, received);
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    take_part(part, message);
  }
  return true;
}

}  // namespace devlxd::guests
