#ifndef DEVLXD_ACCEPT_LISTENER_H_
#define DEVLXD_ACCEPT_LISTENER_H_

#include <uv.h>

#include <cstdint>
#include <functional>

#include "os/kernel.h"
#include "os/own_fd.h"
#include "os/uv_handle.h"

namespace devlxd {

// Accepts on the event loop, in batches. It never spins when descriptors run out: it closes a spare
// descriptor to accept a connection and drop it.
class Listener {
 public:
  using OnConnection = std::function<void(OwnFd)>;
  using OnQueueEmpty = std::function<void()>;

  Listener(uv_loop_t* loop, OnConnection on_connection, OnQueueEmpty on_queue_empty);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // How often an idle listener checks that its queue is empty, and a paused one tries again.
  void set_tick(uint64_t milliseconds) { tick_milliseconds_ = milliseconds; }

  // listening: from listen_unix, or inherited.
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
  UvHandle<uv_poll_t> poll_;
  UvTimer tick_;
  uint64_t tick_milliseconds_ = 1000;
  uint64_t shed_ = 0;
};

}  // namespace devlxd

#endif  // DEVLXD_ACCEPT_LISTENER_H_
