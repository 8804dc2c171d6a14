#include "canned_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cstdio>
#include <string_view>
#include <utility>

#include "sockets.h"

namespace devlxd::bench {
namespace {

constexpr size_t kBufferSize = 64 * 1024;
constexpr int kMaxEvents = 512;
constexpr std::string_view kRequestEnd = "\r\n\r\n";

// How many requests end in data. matched carries a blank line that was cut over to the next call.
int requests_in(std::string_view data, size_t& matched) {
  int requests = 0;
  for (const char byte : data) {
    if (byte == kRequestEnd[matched]) {
      if (++matched < kRequestEnd.size()) continue;
      requests++;
      matched = 0;
    } else {
      matched = byte == kRequestEnd[0] ? 1 : 0;
    }
  }
  return requests;
}

}  // namespace

CannedServer::CannedServer(OwnFd listening, Doorman::Care care, std::string answer,
                           std::string frame)
    : listening_(std::move(listening)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      doorman_(care),
      answer_(std::move(answer)),
      frame_(std::move(frame)),
      buffer_(kBufferSize) {}

Failure CannedServer::run() {
  Failure failure;
  if (!watch(epoll_.get(), listening_.get(), listening_.get(), EPOLLIN, failure) ||
      !watch(epoll_.get(), STDIN_FILENO, STDIN_FILENO, EPOLLIN, failure)) {
    return failure;
  }
  puts("ready");
  fflush(stdout);
  for (;;) {
    epoll_event events[kMaxEvents];
    const int count = epoll_wait(epoll_.get(), events, kMaxEvents, -1);
    if (count < 0 && errno != EINTR) return {"epoll_wait", errno};
    for (int i = 0; i < count; i++) {
      const int fd = static_cast<int>(events[i].data.u64);
      if (fd == listening_.get()) {
        const Failure accepting = accept_all();
        if (accepting) return accepting;
      } else if (fd != STDIN_FILENO) {
        serve(fd, events[i].events);
      } else if (control_ended()) {
        return {};
      }
    }
  }
}

Failure CannedServer::accept_all() {
  for (;;) {
    OwnFd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) {
      return errno == EAGAIN || errno == EINTR ? Failure{} : Failure{"accept4", errno};
    }
    // A caller that has already exited cannot be identified; that costs a connection, as in devlxd.
    if (!doorman_.knows(fd.get())) {
      complain("bench_floor", {"identifying a caller", errno});
      continue;
    }
    const auto index = static_cast<size_t>(fd.get());
    Failure failure;
    if (!watch(epoll_.get(), fd.get(), index, EPOLLIN, failure)) return failure;
    if (index >= connections_.size()) connections_.resize(index * 2 + 1);
    connections_[index] = std::make_unique<Connection>();
    connections_[index]->fd = std::move(fd);
  }
}

void CannedServer::serve(int fd, uint32_t events) {
  // A connection may have been closed, and its number given away, earlier in this turn.
  const auto index = static_cast<size_t>(fd);
  if (index >= connections_.size() || !connections_[index]) return;
  Connection& connection = *connections_[index];
  if (connection.unsent.empty()) {
    read_requests(connection);
  } else if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    flush(connection);
  }
}

void CannedServer::read_requests(Connection& connection) {
  const ssize_t size = read(connection.fd.get(), buffer_.data(), buffer_.size());
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return close_connection(connection);
  const int requests = requests_in({buffer_.data(), static_cast<size_t>(size)}, connection.matched);
  if (requests == 0) return;
  connection.answered = true;
  if (requests == 1) return write_or_keep(connection, answer_);
  std::string answers;
  for (int i = 0; i < requests; i++) answers += answer_;
  write_or_keep(connection, answers);
}

void CannedServer::write_or_keep(Connection& connection, const std::string& bytes) {
  if (!connection.unsent.empty()) {
    connection.unsent += bytes;
    return;
  }
  const ssize_t size = send(connection.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (size == static_cast<ssize_t>(bytes.size())) return;
  if (size < 0 && errno != EAGAIN) return close_connection(connection);
  connection.unsent = bytes.substr(size < 0 ? 0 : size);
  wait_for(connection, EPOLLOUT);
}

void CannedServer::flush(Connection& connection) {
  const std::string bytes = std::exchange(connection.unsent, {});
  const ssize_t size = send(connection.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (size < 0 && errno != EAGAIN) return close_connection(connection);
  connection.unsent = bytes.substr(size < 0 ? 0 : size);
  if (connection.unsent.empty()) wait_for(connection, EPOLLIN);
}

void CannedServer::wait_for(const Connection& connection, uint32_t events) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = connection.fd.get();
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd.get(), &event);
}

void CannedServer::close_connection(Connection& connection) {
  connections_[connection.fd.get()].reset();
}

void CannedServer::broadcast() {
  for (const auto& connection : connections_) {
    if (connection && connection->answered) write_or_keep(*connection, frame_);
  }
}

bool CannedServer::control_ended() {
  char bytes[64];
  const ssize_t size = read(STDIN_FILENO, bytes, sizeof bytes);
  for (ssize_t i = 0; i < size; i++) broadcast();
  return size == 0;
}

}  // namespace devlxd::bench
