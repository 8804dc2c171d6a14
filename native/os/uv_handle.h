#ifndef DEVLXD_OS_UV_HANDLE_H_
#define DEVLXD_OS_UV_HANDLE_H_

#include <uv.h>

#include <cstdint>

namespace devlxd {

// The one owner of a libuv handle, which must stay in memory until the callback of uv_close.
template <typename Handle>
class UvHandle {
 public:
  UvHandle() = default;
  ~UvHandle() { close(); }
  UvHandle(const UvHandle&) = delete;
  UvHandle& operator=(const UvHandle&) = delete;

  // init: calls uv_timer_init or its like. Gives libuv's error; then there is no handle.
  template <typename Init>
  int open(void* data, Init init) {
    close();
    auto* made = new Handle;
    const int error = init(made);
    if (error != 0) {
      delete made;
      return error;
    }
    made->data = data;
    handle_ = made;
    return 0;
  }

  void close() {
    if (handle_ == nullptr) return;
    uv_close(base(), [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
    handle_ = nullptr;
  }

  // The event loop may end while the handle is open.
  void unref() { uv_unref(base()); }

  Handle* get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }
  bool is_active() const { return uv_is_active(base()) != 0; }

 private:
  uv_handle_t* base() const { return reinterpret_cast<uv_handle_t*>(handle_); }

  Handle* handle_ = nullptr;
};

// A repeating timer that does not keep the event loop alive.
class UvTimer {
 public:
  UvTimer(uv_loop_t* loop, void* data) {
    handle_.open(data, [loop](uv_timer_t* timer) { return uv_timer_init(loop, timer); });
    handle_.unref();
  }

  void start(uv_timer_cb callback, uint64_t milliseconds) {
    if (!handle_.is_active()) uv_timer_start(handle_.get(), callback, milliseconds, milliseconds);
  }
  void stop() { uv_timer_stop(handle_.get()); }

 private:
  UvHandle<uv_timer_t> handle_;
};

// Runs once in each turn of the event loop, before it looks what there is to read, until it is
// stopped; what starts it while it runs waits for the next turn. A timer of no time would not:
// libuv runs one that is started again by itself in the same turn. It does not keep the loop alive.
class UvEachTurn {
 public:
  UvEachTurn(uv_loop_t* loop, void* data) {
    handle_.open(data, [loop](uv_idle_t* idle) { return uv_idle_init(loop, idle); });
    handle_.unref();
  }

  void start(uv_idle_cb callback) { uv_idle_start(handle_.get(), callback); }
  void stop() { uv_idle_stop(handle_.get()); }

 private:
  UvHandle<uv_idle_t> handle_;
};

}  // namespace devlxd

#endif  // DEVLXD_OS_UV_HANDLE_H_
