#include "sockets.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstring>
#include <ctime>

namespace devlxd::bench {
namespace {

constexpr uint64_t kNanoseconds = 1'000'000'000;

OwnFd unix_socket() {
  return OwnFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

uint64_t read_clock(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * kNanoseconds + time.tv_nsec;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

std::optional<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

OwnFd listen_at(const sockaddr_un& address, int backlog, Failure& failure) {
  unlink(address.sun_path);
  OwnFd fd = unix_socket();
  if (!fd.valid()) {
    failure = {"socket", errno};
  } else if (bind(fd.get(), generic(address), sizeof address) != 0) {
    failure = {"bind", errno};
  } else if (chmod(address.sun_path, 0666) != 0) {
    failure = {"chmod", errno};
  } else if (listen(fd.get(), backlog) != 0) {
    failure = {"listen", errno};
  }
  return failure ? OwnFd() : std::move(fd);
}

OwnFd connect_to(const sockaddr_un& address, Failure& failure) {
  OwnFd fd = unix_socket();
  if (!fd.valid()) {
    failure = {"socket", errno};
  } else if (connect(fd.get(), generic(address), sizeof address) != 0) {
    failure = {"connect", errno};
  }
  return failure ? OwnFd() : std::move(fd);
}

bool watch(int epoll, int fd, uint64_t key, uint32_t events, Failure& failure) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = key;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0) return true;
  failure = {"epoll_ctl", errno};
  return false;
}

void raise_descriptor_limit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void complain(const char* program, const Failure& failure) {
  fprintf(stderr, "%s: %s: %s\n", program, failure.call, strerror(failure.code));
}

uint64_t now() { return read_clock(CLOCK_MONOTONIC); }

uint64_t cpu_time() { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace devlxd::bench
