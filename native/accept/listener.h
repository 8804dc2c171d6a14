#ifndef DEVLXD_ACCEPT_LISTENER_H_
#define DEVLXD_ACCEPT_LISTENER_H_

#include <uv.h>

#include <cstdint>
#include <functional>
#include <string>

#include "os/kernel.h"
#include "os/own_fd.h"

namespace devlxd {

// Binds a Unix stream socket with exactly these permissions and listens on it. A socket file that
// nobody listens on any more is replaced; EADDRINUSE means that somebody does.
OwnFd listen_unix(const std::string& path, mode_t mode, int backlog, Failure& failure);

// Accepts on the event loop, in batches. It never spins when descriptors run out: one is kept
// spare, given up to accept a connection and drop it at once.
class Listener {
 public:
  using OnConnection = std::function<void(OwnFd)>;
  using OnQueueEmpty = std::function<void()>;

  Listener(uv_loop_t* loop, OnConnection on_connection, OnQueueEmpty on_queue_empty);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // How often an idle listener looks whether its queue is empty, and a paused one tries again.
  void set_tick(uint64_t milliseconds) { tick_milliseconds_ = milliseconds; }

  // Takes a listening socket: one of listen_unix, or one handed in by a service manager.
  Failure start(OwnFd listening);
  void stop();

  int fd() const { return listening_.get(); }
  uint64_t shed() const { return shed_; }  // connections dropped for want of a descriptor

 private:
  enum class Next { kAgain, kWait, kPause };

  void accept_batch();
  Next accept_one();
  Next shed_one();
  void poll();

  uv_loop_t* loop_;
  OnConnection on_connection_;
  OnQueueEmpty on_queue_empty_;
  OwnFd listening_;
  OwnFd spare_;
  uv_poll_t* poll_ = nullptr;    // freed by uv_close's callback
  uv_timer_t* timer_ = nullptr;  // ticks
  uint64_t tick_milliseconds_ = 1000;
  uint64_t shed_ = 0;
};

}  // namespace devlxd

#endif  // DEVLXD_ACCEPT_LISTENER_H_
