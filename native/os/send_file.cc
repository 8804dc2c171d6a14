#include "os/send_file.h"

#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace devlxd {
namespace {

// An active reader drains its buffer sooner; do not hold a pool thread for a stalled one.
constexpr int kReaderTimeoutMilliseconds = 1;
// At most this much in one call, so that a pipe of the kernel's is not asked for more than it
// takes.
constexpr size_t kPiece = size_t{1} << 20;
// With the usual buffer writer and reader take turns, since a socket counts as writable only when
// three quarters of it are free. The kernel gives as much of this as net.core.wmem_max allows. What
// lies in it are pages of the page cache, not copies.
constexpr int kSendBuffer = 1 << 20;

bool becomes_writable(int socket) {
  pollfd waited = {socket, POLLOUT, 0};
  return poll(&waited, 1, kReaderTimeoutMilliseconds) > 0;
}

}  // namespace

SentFile send_file(int socket, int file, uint64_t offset, size_t length) {
  SentFile sent;
  setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
  auto position = static_cast<off_t>(offset);
  while (sent.bytes < length) {
    const ssize_t moved = sendfile(socket, file, &position, std::min(length - sent.bytes, kPiece));
    if (moved > 0) {
      sent.bytes += static_cast<size_t>(moved);
    } else if (moved == 0) {
      sent.failure = {"sendfile", ENODATA};
      return sent;
    } else if (errno == EAGAIN) {
      if (!becomes_writable(socket)) return sent;
    } else if (errno != EINTR) {
      sent.failure = {"sendfile", errno};
      return sent;
    }
  }
  return sent;
}

}  // namespace devlxd
