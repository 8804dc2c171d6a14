#include "hook/exchange.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "hook/patience.h"
#include "os/own_fd.h"
#include "os/unix_address.h"

namespace devlxd::hook {
namespace {

constexpr size_t kLongestAnswer = 64 * 1024;

std::string describe_connect(const std::string& path, int code) {
  switch (code) {
    case ENOENT:
    case ENOTDIR:
      return "no devlxd runs here: there is no " + path + "; start it first, or name its --run-dir";
    case ECONNREFUSED:
      return "no devlxd listens on " + path + "; start it first";
    case EACCES:
      return "this user may not use " + path +
             "; a runtime without root needs a devlxd of the same user, or its --group";
    case EINTR:
      return "devlxd has not accepted within " + std::to_string(kPatienceSeconds) + " s on " + path;
    default:
      return path + ": " + strerror(code);
  }
}

OwnFd connect_to(const std::string& path, std::string& problem) {
  const UnixAddress address(path);
  if (address.length == 0) {
    problem = describe_connect(path, ENAMETOOLONG);
    return OwnFd();
  }
  OwnFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), address.get(), address.length) != 0) {
    problem = describe_connect(path, errno);
    fd.reset();
  }
  return fd;
}

std::string describe_exchange(int code) {
  if (code == EINTR) {
    return "devlxd has not answered within " + std::to_string(kPatienceSeconds) + " s";
  }
  return std::string("devlxd does not listen: ") + strerror(code);
}

bool send_all(int fd, const std::string& request, std::string& problem) {
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t size = send(fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (size < 0 || patience_is_over()) {
      problem = describe_exchange(size < 0 ? errno : EINTR);
      return false;
    }
    sent += static_cast<size_t>(size);
  }
  return true;
}

// HTTP/1.0: the answer ends with the connection.
std::string read_answer(int fd, std::string& problem) {
  std::string answer;
  char buffer[4096];
  while (answer.size() < kLongestAnswer) {
    const ssize_t size = read(fd, buffer, sizeof buffer);
    if (size < 0 || patience_is_over()) {
      problem = describe_exchange(size < 0 ? errno : EINTR);
      return "";
    }
    if (size == 0) break;
    answer.append(buffer, static_cast<size_t>(size));
  }
  if (answer.empty()) {
    problem = "devlxd closed the connection: it takes orders from root and its own user only";
  }
  return answer;
}

}  // namespace

std::string exchange(const std::string& path, const std::string& request, std::string& problem) {
  const OwnFd fd = connect_to(path, problem);
  if (!problem.empty() || !send_all(fd.get(), request, problem)) return "";
  return read_answer(fd.get(), problem);
}

}  // namespace devlxd::hook
