#include "agent/relay.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace devlxd::agent {
namespace {

constexpr Milliseconds kFirstBackoff = 50;
constexpr Milliseconds kLongestBackoff = 1000;
// A host that is away this long is not restarting: the client hears it, and may ask again.
constexpr Milliseconds kHold = 120'000;
// Between two bytes. The host pings a WebSocket every 10 s (--limit-ping-seconds).
constexpr Milliseconds kUnanswered = 60'000;
constexpr Milliseconds kSilentWebSocket = 60'000;
constexpr Milliseconds kSilentStream = 900'000;

constexpr int kRoundsAtOnce = 16;

bool would_block(ssize_t result) { return result < 0 && (errno == EAGAIN || errno == EINTR); }

int error_of(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

// vsock(7) tells the end of connecting by being writable or by an error.
bool has_finished(int fd) {
  sockaddr_storage peer;
  socklen_t size = sizeof peer;
  return getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

}  // namespace

ssize_t Buffer::fill(int fd) {
  const ssize_t count = recv(fd, data_.data(), data_.size(), 0);
  begin_ = 0;
  end_ = count > 0 ? static_cast<size_t>(count) : 0;
  return count;
}

ssize_t Buffer::drain(int fd) {
  const ssize_t count = send(fd, data_.data() + begin_, end_ - begin_, MSG_NOSIGNAL);
  if (count > 0) begin_ += static_cast<size_t>(count);
  return count;
}

Relay::Relay(int epoll, const HostAddress& host, OwnFd client, bool root, Milliseconds now)
    : epoll_(epoll),
      host_address_(host),
      root_(root),
      began_(now),
      heard_(now),
      backoff_(kFirstBackoff) {
  client_.fd = std::move(client);
  try_host(now);
  watch();
}

void Relay::handle(const epoll_event& event, Milliseconds now) {
  const End& end = *static_cast<const End*>(event.data.ptr);
  Relay& relay = *end.relay;
  const bool left = &end == &relay.client_ && (event.events & EPOLLHUP) != 0;
  if (!relay.over_) relay.step(left, now);
}

void Relay::step(bool left, Milliseconds now) {
  if (left) {
    over_ = true;
    return;
  }
  if (!connected_ && host_.fd.valid()) finish_connecting(now);
  if (connected_) relay(now);
  if (!over_) watch();
}

void Relay::tick(Milliseconds now) {
  if (connected_) {
    over_ = over_ || now - heard_ > patience();
  } else if (now - began_ > kHold) {
    over_ = true;
  } else if (!host_.fd.valid() && now >= retry_at_) {
    try_host(now);
    watch();
  }
}

Milliseconds Relay::patience() const {
  if (!answered_) return kUnanswered;
  return upgraded_ ? kSilentWebSocket : kSilentStream;
}

void Relay::try_host(Milliseconds now) {
  host_.fd = host_address_.connect(root_);
  if (!host_.fd.valid()) retry_later(now);
}

void Relay::finish_connecting(Milliseconds now) {
  if (error_of(host_.fd.get()) != 0) return retry_later(now);
  if (!has_finished(host_.fd.get())) return;
  connected_ = true;
  heard_ = now;
}

void Relay::retry_later(Milliseconds now) {
  host_ = End{OwnFd(), this};
  retry_at_ = now + backoff_;
  backoff_ = std::min(2 * backoff_, kLongestBackoff);
}

void Relay::relay(Milliseconds now) {
  for (int round = 0; round < kRoundsAtOnce && !over_; round++) {
    const bool asked = pass(client_, host_, to_host_);
    if (asked) answered_ = false;
    const bool answered = !over_ && pass(host_, client_, to_client_);
    if (answered) answered_ = true;
    if (!asked && !answered) break;
    heard_ = now;
  }
  if (client_.told_end && host_.told_end) over_ = true;
}

// True: some bytes have moved.
bool Relay::pass(End& from, End& to, Buffer& buffer) {
  bool moved = false;
  if (buffer.empty() && !from.read_all) {
    const ssize_t count = buffer.fill(from.fd.get());
    if (count < 0 && !would_block(count)) over_ = true;
    from.read_all = count == 0;
    moved = count > 0;
    if (moved && &from == &host_ && !answered_) {
      upgraded_ = buffer.bytes().starts_with("HTTP/1.1 101");
    }
  }
  if (!buffer.empty()) {
    const ssize_t count = buffer.drain(to.fd.get());
    if (count < 0 && !would_block(count)) over_ = true;
    moved = moved || count > 0;
  }
  if (buffer.empty() && from.read_all && !to.told_end) {
    shutdown(to.fd.get(), SHUT_WR);
    to.told_end = true;
  }
  return moved;
}

void Relay::watch() {
  uint32_t client = to_client_.empty() ? uint32_t{0} : uint32_t{EPOLLOUT};
  if (connected_ && to_host_.empty() && !client_.read_all) client |= EPOLLIN;
  watch(client_, client, true);
  uint32_t host = connected_ && to_host_.empty() ? uint32_t{0} : uint32_t{EPOLLOUT};
  if (connected_ && to_client_.empty() && !host_.read_all) host |= EPOLLIN;
  if (host_.fd.valid()) watch(host_, host, false);
}

// keep: for its end of both directions alone, which epoll always tells. Where that changes nothing
// it must not be told, again and again.
void Relay::watch(End& end, uint32_t events, bool keep) {
  epoll_event event = {};
  event.events = events;
  event.data.ptr = &end;
  const bool wanted = keep || events != 0;
  if (wanted) epoll_ctl(epoll_, end.watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, end.fd.get(), &event);
  if (!wanted && end.watched) epoll_ctl(epoll_, EPOLL_CTL_DEL, end.fd.get(), nullptr);
  end.watched = wanted;
}

}  // namespace devlxd::agent
