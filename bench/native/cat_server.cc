// The floor of image exports: each connection gets the file from cat(1), as from a shell behind a
// socket.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "sockets.h"

namespace {

using devlxd::OwnFd;

constexpr int kBacklog = 4096;

bool read_request(int fd) {
  std::string request;
  char buffer[4096];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t size = read(fd, buffer, sizeof buffer);
    if (size <= 0) return false;
    request.append(buffer, size);
  }
  return true;
}

[[noreturn]] void become_cat(int fd, const char* file, const std::string& head) {
  if (!read_request(fd)) _exit(1);
  if (write(fd, head.data(), head.size()) != static_cast<ssize_t>(head.size())) _exit(1);
  if (dup2(fd, STDOUT_FILENO) < 0) _exit(1);
  execlp("cat", "cat", "--", file, nullptr);
  _exit(127);
}

// Ends with the harness, whose end standard input is.
void end_with_standard_input() {
  if (fork() != 0) return;
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  kill(getppid(), SIGTERM);
  _exit(0);
}

int serve(int listening, const char* file, const std::string& head) {
  for (;;) {
    const OwnFd fd(accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid() && errno != EINTR) return 1;
    if (fd.valid() && fork() == 0) become_cat(fd.get(), file, head);
    while (waitpid(-1, nullptr, WNOHANG) > 0) continue;
  }
}

}  // namespace

int main(int argc, char** argv) {
  struct stat status;
  if (argc != 3 || stat(argv[2], &status) != 0) {
    fputs("Usage: bench_cat SOCKET FILE\n", stderr);
    return 2;
  }
  const auto address = devlxd::bench::address_of(argv[1]);
  if (!address) return 2;
  devlxd::Failure failure;
  const OwnFd listening = devlxd::bench::listen_at(*address, kBacklog, failure);
  if (failure) {
    devlxd::bench::complain("bench_cat", failure);
    return 1;
  }
  fcntl(listening.get(), F_SETFL, 0);  // blocking
  signal(SIGTERM, [](int) { _exit(0); });
  end_with_standard_input();
  puts("ready");
  fflush(stdout);
  return serve(listening.get(), argv[2],
               "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(status.st_size) + "\r\n\r\n");
}
