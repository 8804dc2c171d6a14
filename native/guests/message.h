#ifndef DEVLXD_GUESTS_MESSAGE_H_
#define DEVLXD_GUESTS_MESSAGE_H_

#include <sys/types.h>

#include <string>

#include "../own_fd.h"

namespace devlxd::guests {

// A datagram of text, with a descriptor or without.
struct Message {
  std::string text;
  OwnFd fd;
  pid_t sender = 0;  // its pid as we see it, where the socket has SO_PASSCRED
};

// False when the other side is gone (or, receiving, when its time is up: errno EAGAIN).
bool send_message(int socket, const std::string& text, int fd = -1);
bool receive_message(int socket, Message& message);

}  // namespace devlxd::guests

#endif  // DEVLXD_GUESTS_MESSAGE_H_
