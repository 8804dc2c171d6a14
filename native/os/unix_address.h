#ifndef DEVLXD_OS_UNIX_ADDRESS_H_
#define DEVLXD_OS_UNIX_ADDRESS_H_

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string_view>

namespace devlxd {

// The address of a Unix socket. length 0: the path is empty or too long. A path that begins with a
// NUL is an abstract name.
struct UnixAddress {
  sockaddr_un address = {};
  socklen_t length = 0;

  explicit UnixAddress(std::string_view path) {
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) return;
    memcpy(address.sun_path, path.data(), path.size());
    const size_t terminator = path[0] == '\0' ? 0 : 1;
    length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + terminator);
  }

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

}  // namespace devlxd

#endif  // DEVLXD_OS_UNIX_ADDRESS_H_
