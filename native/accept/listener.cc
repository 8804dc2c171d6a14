#include "accept/listener.h"

#include <sys/socket.h>

namespace devlxd {
namespace {

// In one turn of the loop: small enough to serve requests in between, and large beside what a turn
// costs.
constexpr int kAcceptBatch = 64;

OwnFd open_spare() { return OwnFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

Listener::Listener(uv_loop_t* loop, OnConnection on_connection, OnQueueEmpty on_queue_empty)
    : loop_(loop),
      on_connection_(std::move(on_connection)),
      on_queue_empty_(std::move(on_queue_empty)),
      tick_(loop, this) {}

Listener::~Listener() { stop(); }

Failure Listener::start(OwnFd listening) {
  const int flags = fcntl(listening.get(), F_GETFL);
  if (flags < 0 || fcntl(listening.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return {"fcntl", errno};
  }
  spare_ = open_spare();
  const int error =
      poll_.open(this, [&](uv_poll_t* poll) { return uv_poll_init(loop_, poll, listening.get()); });
  if (error != 0) return {"uv_poll_init", -error};
  listening_ = std::move(listening);
  tick_.start(
      [](uv_timer_t* timer) {
        auto* self = static_cast<Listener*>(timer->data);
        self->poll();
        self->accept_batch();
      },
      tick_milliseconds_);
  poll();
  return {};
}

void Listener::stop() {
  poll_.close();
  tick_.stop();
  listening_.reset();
  spare_.reset();
}

void Listener::poll() {
  uv_poll_start(poll_.get(), UV_READABLE, [](uv_poll_t* poll, int, int) {
    static_cast<Listener*>(poll->data)->accept_batch();
  });
}

void Listener::accept_batch() {
  for (int i = 0; i < kAcceptBatch && poll_; i++) {
    switch (accept_one()) {
      case Next::kAgain:
        break;
      case Next::kWait:
        return;
      case Next::kPause:
        uv_poll_stop(poll_.get());
        return;
    }
  }
}

Listener::Next Listener::accept_one() {
  OwnFd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd.valid()) {
    on_connection_(std::move(fd));
    return Next::kAgain;
  }
  switch (errno) {
    case EAGAIN:
      on_queue_empty_();
      return Next::kWait;
    case EINTR:
    case ECONNABORTED:
      return Next::kAgain;
    case EMFILE:
    case ENFILE:
      return shed_one();
    default:
      return Next::kPause;  // ENOMEM, ENOBUFS: the timer tries again
  }
}

Listener::Next Listener::shed_one() {
  if (!spare_.valid()) {
    spare_ = open_spare();
    if (!spare_.valid()) return Next::kPause;
  }
  spare_.reset();
  OwnFd dropped(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (dropped.valid()) shed_++;
  const bool drained = !dropped.valid();
  dropped.reset();
  spare_ = open_spare();
  return drained ? Next::kPause : Next::kAgain;
}

}  // namespace devlxd
