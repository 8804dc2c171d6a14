#include "os/tcp_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

namespace devlxd {
namespace {

struct TcpAddress {
  sockaddr_storage storage = {};
  socklen_t length = 0;  // 0: no address

  TcpAddress(const std::string& address, uint16_t port) {
    auto* four = reinterpret_cast<sockaddr_in*>(&storage);
    auto* six = reinterpret_cast<sockaddr_in6*>(&storage);
    if (inet_pton(AF_INET, address.c_str(), &four->sin_addr) == 1) {
      four->sin_family = AF_INET;
      four->sin_port = htons(port);
      length = sizeof *four;
    } else if (inet_pton(AF_INET6, address.c_str(), &six->sin6_addr) == 1) {
      six->sin6_family = AF_INET6;
      six->sin6_port = htons(port);
      length = sizeof *six;
    }
  }

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

}  // namespace

OwnFd listen_tcp(const std::string& address, uint16_t port, int backlog, Failure& failure) {
  const TcpAddress at(address, port);
  if (at.length == 0) {
    failure = {"inet_pton", EINVAL};
    return OwnFd();
  }
  OwnFd fd(socket(at.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;  // connections of the last listener may still be in TIME_WAIT
  if (!fd.valid()) {
    failure = {"socket", errno};
  } else if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0) {
    failure = {"setsockopt", errno};
  } else if (bind(fd.get(), at.get(), at.length) != 0) {
    failure = {"bind", errno};
  } else if (listen(fd.get(), backlog) != 0) {
    failure = {"listen", errno};
  }
  return failure ? OwnFd() : std::move(fd);
}

}  // namespace devlxd
