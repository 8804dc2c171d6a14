#ifndef DEVLXD_AGENT_RELAY_H_
#define DEVLXD_AGENT_RELAY_H_

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "agent/host_address.h"
#include "os/own_fd.h"

namespace devlxd::agent {

// Milliseconds of CLOCK_MONOTONIC.
using Milliseconds = int64_t;

// Bytes on their way in one direction.
class Buffer {
 public:
  bool empty() const { return begin_ == end_; }
  // recv and send with errno, as the system calls have them; fill only when it is empty.
  ssize_t fill(int fd);
  ssize_t drain(int fd);
  std::string_view bytes() const { return {data_.data() + begin_, end_ - begin_}; }

 private:
  std::array<char, 16384> data_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// One connection of a client in the machine and the one to the host that it becomes. Bytes pass
// unchanged, so whatever HTTP has passes: keep-alive, chunks, WebSockets.
class Relay {
 public:
  // epoll: events of its descriptors are for handle()
  Relay(int epoll, const HostAddress& host, OwnFd client, bool root, Milliseconds now);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // An event of a relay that is not removed yet.
  static void handle(const epoll_event& event, Milliseconds now);

  // Tries the host again when that is due, and notices a connection that has died without a word,
  // as all do when the machine is restored from a snapshot.
  void tick(Milliseconds now);

  bool is_over() const { return over_; }
  bool is_root() const { return root_; }
  bool waits_for_host() const { return !connected_; }

 private:
  struct End {
    OwnFd fd;
    Relay* relay;
    bool read_all = false;  // nothing comes from it any more
    bool told_end = false;  // nothing goes to it any more
    bool watched = false;
  };

  void step(bool left, Milliseconds now);
  void try_host(Milliseconds now);
  void finish_connecting(Milliseconds now);
  void retry_later(Milliseconds now);
  void relay(Milliseconds now);
  bool pass(End& from, End& to, Buffer& buffer);
  void watch();
  void watch(End& end, uint32_t events, bool keep);
  Milliseconds patience() const;

  int epoll_;
  const HostAddress& host_address_;
  End client_{OwnFd(), this};
  End host_{OwnFd(), this};
  Buffer to_host_;
  Buffer to_client_;
  bool root_;
  bool over_ = false;
  bool connected_ = false;
  bool answered_ = false;  // the last bytes were the host's
  bool upgraded_ = false;  // to a WebSocket, which the host pings
  Milliseconds began_;
  Milliseconds heard_;  // the last byte in either direction
  Milliseconds retry_at_ = 0;
  Milliseconds backoff_;
};

}  // namespace devlxd::agent

#endif  // DEVLXD_AGENT_RELAY_H_
