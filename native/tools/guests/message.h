#ifndef DEVLXD_TOOLS_GUESTS_MESSAGE_H_
#define DEVLXD_TOOLS_GUESTS_MESSAGE_H_

#include <sys/types.h>

#include <string>

#include "os/own_fd.h"

namespace devlxd::guests {

// A datagram of text, with a descriptor or without.
struct Message {
  std::string text;
  OwnFd fd;
  pid_t sender = 0;  // its pid as we see it, where the socket has SO_PASSCRED
};

// A SOCK_SEQPACKET pair, close-on-exec. The first has the lower number. A wait for a message ends
// after patience_seconds, which is 0 for waits that do not end. False with errno set on failure.
bool make_socketpair(OwnFd& first, OwnFd& second);
bool set_patience(int socket, int patience_seconds);

// False when the other side is gone (errno ECONNRESET or EPIPE) or the time is up (EAGAIN). A text
// is never empty: an empty datagram cannot be told from the end.
bool send_message(int socket, const std::string& text, int fd = -1);
bool receive_message(int socket, Message& message);

}  // namespace devlxd::guests

#endif  // DEVLXD_TOOLS_GUESTS_MESSAGE_H_
