#include "accept/listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

namespace devlxd {
namespace {

// Enough that a storm is taken in a few turns of the loop, few enough that requests which wait are
// served in between.
constexpr int kAcceptBatch = 256;

OwnFd open_spare() { return OwnFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

bool somebody_listens(const sockaddr_un& address) {
  OwnFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int result =
      connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return result == 0 || errno == EAGAIN;  // EAGAIN: its backlog is full
}

template <typename Handle>
void close_and_free(Handle*& handle) {
  if (handle == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(handle),
           [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
  handle = nullptr;
}

}  // namespace

OwnFd listen_unix(const std::string& path, mode_t mode, int backlog, Failure& failure) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    failure = {"bind", ENAMETOOLONG};
    return OwnFd();
  }
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  struct stat status;
  if (lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) {
    if (somebody_listens(address)) {
      failure = {"bind", EADDRINUSE};
      return OwnFd();
    }
    unlink(path.c_str());
  }
  OwnFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const mode_t before = umask(~mode & 0777);  // so that there is no moment with other permissions
  const int bound = bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  failure = bound == 0 ? Failure{} : Failure{"bind", errno};
  umask(before);
  if (!failure && listen(fd.get(), backlog) != 0) failure = {"listen", errno};
  return failure ? OwnFd() : std::move(fd);
}

Listener::Listener(uv_loop_t* loop, OnConnection on_connection, OnQueueEmpty on_queue_empty)
    : loop_(loop),
      on_connection_(std::move(on_connection)),
      on_queue_empty_(std::move(on_queue_empty)) {}

Listener::~Listener() { stop(); }

Failure Listener::start(OwnFd listening) {
  const int flags = fcntl(listening.get(), F_GETFL);
  if (flags < 0 || fcntl(listening.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return {"fcntl", errno};
  }
  spare_ = open_spare();
  poll_ = new uv_poll_t;
  const int error = uv_poll_init(loop_, poll_, listening.get());
  if (error != 0) {
    delete poll_;
    poll_ = nullptr;
    return {"uv_poll_init", -error};
  }
  listening_ = std::move(listening);
  poll_->data = this;
  timer_ = new uv_timer_t;
  uv_timer_init(loop_, timer_);
  timer_->data = this;
  uv_unref(reinterpret_cast<uv_handle_t*>(timer_));
  uv_timer_start(
      timer_,
      [](uv_timer_t* timer) {
        auto* self = static_cast<Listener*>(timer->data);
        self->poll();
        self->accept_batch();
      },
      tick_milliseconds_, tick_milliseconds_);
  poll();
  return {};
}

void Listener::stop() {
  close_and_free(poll_);
  close_and_free(timer_);
  listening_.reset();
  spare_.reset();
}

void Listener::poll() {
  uv_poll_start(poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
    static_cast<Listener*>(poll->data)->accept_batch();
  });
}

void Listener::accept_batch() {
  for (int i = 0; i < kAcceptBatch && poll_ != nullptr; i++) {
    switch (accept_one()) {
      case Next::kAgain:
        break;
      case Next::kWait:
        return;
      case Next::kPause:
        uv_poll_stop(poll_);
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
