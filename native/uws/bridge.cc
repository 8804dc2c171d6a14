#include "uws/bridge.h"

#include <dlfcn.h>
#include <sys/socket.h>
#include <uv.h>

#include <cstring>
#include <new>
#include <utility>
#include <vector>

namespace devlxd {
namespace {

// Bytes of extension asked for on each adopted socket. uWebSockets uses the front
// (HttpResponseData, some 200 bytes); the Connection lies at the very end, out of its way. The
// self-test in src/ would notice an overlap: it reads the stamp inside a request handler.
constexpr int kExtensionBytes = 1024;

// How far into us_socket_context_t the pointer to the close handler is looked for. The struct
// itself has 20 words in uSockets 0.8, and the app's own data lie behind it, so this never reads
// past the end.
constexpr size_t kContextWords = 24;

// The functions of uSockets (libusockets.h, 0.8) that the binary must export.
struct Functions {
  us_socket_t* (*adopt_accepted_socket)(int ssl, us_socket_context_t*, int fd, unsigned extension,
                                        char* address, int address_length);
  us_socket_context_t* (*socket_context)(int ssl, us_socket_t*);
  void* (*socket_ext)(int ssl, us_socket_t*);
  us_socket_t* (*socket_close)(int ssl, us_socket_t*, int code, void* reason);
  void* (*socket_get_native_handle)(int ssl, us_socket_t*);
  int (*socket_is_closed)(int ssl, us_socket_t*);
  void (*socket_timeout)(int ssl, us_socket_t*, unsigned seconds);
  int (*poll_events)(const us_socket_t*);
  void (*poll_change)(us_socket_t*, void* loop, int events);
  void (*socket_context_on_close)(int ssl, us_socket_context_t*,
                                  us_socket_t* (*)(us_socket_t*, int, void*));
  void (*socket_context_on_data)(int ssl, us_socket_context_t*,
                                 us_socket_t* (*)(us_socket_t*, char*, int));
  void (*socket_context_on_writable)(int ssl, us_socket_context_t*, us_socket_t* (*)(us_socket_t*));
};
Functions us;

// One per app, in practice the guests' and for a moment the self-test's.
std::vector<Bridge*> bridges;
std::vector<us_socket_context_t*> contexts;

// What uWebSockets gives an idle connection (HttpContext.h, HTTP_IDLE_TIMEOUT_S).
constexpr unsigned kIdleSeconds = 10;

// LIBUS_SOCKET_WRITABLE on Linux: uSockets waits for it only while it has something to write.
constexpr int kWaitsToWrite = UV_WRITABLE;

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

us_socket_t* close_sentinel(us_socket_t* socket, int, void*) { return socket; }
us_socket_t* data_sentinel(us_socket_t* socket, char*, int) { return socket; }
us_socket_t* writable_sentinel(us_socket_t* socket) { return socket; }

// uSockets can set a handler but not tell which one is set. So a sentinel is set, found again in
// the context, and what stood in its place before is uWebSockets' own, which ours goes on to call.
// Null when not exactly that one word has changed.
template <typename Handler>
Handler replaced_handler(us_socket_context_t* context,
                         void (*set)(int ssl, us_socket_context_t*, Handler), Handler sentinel) {
  void* before[kContextWords];
  void* after[kContextWords];
  memcpy(before, context, sizeof before);
  set(0, context, sentinel);
  memcpy(after, context, sizeof after);
  size_t changes = 0;
  void* replaced = nullptr;
  for (size_t i = 0; i < kContextWords; i++) {
    if (before[i] == after[i]) continue;
    changes++;
    if (after[i] == reinterpret_cast<void*>(sentinel)) replaced = before[i];
  }
  return changes == 1 ? reinterpret_cast<Handler>(replaced) : nullptr;
}

Connection* stamp_of(us_socket_t* socket) {
  char* extension = static_cast<char*>(us.socket_ext(0, socket));
  return reinterpret_cast<Connection*>(extension + kExtensionBytes - sizeof(Connection));
}

}  // namespace

Bridge::~Bridge() {
  for (size_t i = 0; i < bridges.size(); i++) {
    if (bridges[i] != this) continue;
    us.socket_context_on_close(0, context_, uws_on_close_);
    us.socket_context_on_data(0, context_, uws_on_data_);
    us.socket_context_on_writable(0, context_, uws_on_writable_);
    if (frames_context_ != nullptr) us.socket_context_on_data(0, frames_context_, uws_on_frames_);
    bridges.erase(bridges.begin() + i);
    contexts.erase(contexts.begin() + i);
    return;
  }
}

std::string Bridge::open(void* listen_token, const char* binary) {
  std::string failed = find_functions(binary);
  if (!failed.empty()) return failed;
  context_ = us.socket_context(0, static_cast<us_socket_t*>(listen_token));
  if (context_ == nullptr) return "us_socket_context of the listen token";
  failed = hook_handlers();
  if (!failed.empty()) return failed;
  bridges.push_back(this);
  contexts.push_back(context_);
  return "";
}

std::string Bridge::find_functions(const char* binary) {
  // Already loaded by require(): this only gives a handle to it.
  void* library = dlopen(binary, RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) return std::string("dlopen of ") + binary;
  const char* missing = nullptr;
  const auto look_up = [&](const char* name, auto& function) {
    if (!find(library, name, function) && missing == nullptr) missing = name;
  };
  look_up("us_adopt_accepted_socket", us.adopt_accepted_socket);
  look_up("us_socket_context", us.socket_context);
  look_up("us_socket_ext", us.socket_ext);
  look_up("us_socket_close", us.socket_close);
  look_up("us_socket_get_native_handle", us.socket_get_native_handle);
  look_up("us_socket_is_closed", us.socket_is_closed);
  look_up("us_socket_timeout", us.socket_timeout);
  look_up("us_poll_events", us.poll_events);
  look_up("us_poll_change", us.poll_change);
  look_up("us_socket_context_on_close", us.socket_context_on_close);
  look_up("us_socket_context_on_data", us.socket_context_on_data);
  look_up("us_socket_context_on_writable", us.socket_context_on_writable);
  return missing == nullptr ? "" : std::string("symbol ") + missing;
}

std::string Bridge::hook_handlers() {
  uws_on_close_ = replaced_handler(context_, us.socket_context_on_close, &close_sentinel);
  if (uws_on_close_ == nullptr) return "close handler of the socket context";
  uws_on_data_ = replaced_handler(context_, us.socket_context_on_data, &data_sentinel);
  if (uws_on_data_ == nullptr) return "data handler of the socket context";
  uws_on_writable_ = replaced_handler(context_, us.socket_context_on_writable, &writable_sentinel);
  if (uws_on_writable_ == nullptr) return "writable handler of the socket context";
  us.socket_context_on_close(0, context_, &Bridge::on_close);
  us.socket_context_on_data(0, context_, &Bridge::on_data);
  us.socket_context_on_writable(0, context_, &Bridge::on_writable);
  return "";
}

Connection* Bridge::adopt(OwnFd fd, Caller caller) {
  us_socket_t* socket =
      us.adopt_accepted_socket(0, context_, fd.get(), kExtensionBytes, nullptr, 0);
  if (socket == nullptr) return nullptr;
  fd.release();  // uSockets closes it from here on
  Connection* connection = new (stamp_of(socket)) Connection;
  connection->caller = std::move(caller);
  connection->socket = socket;
  return connection;
}

Connection* Bridge::connection_of(void* socket) const {
  us_socket_t* us_socket = static_cast<us_socket_t*>(socket);
  if (us_socket == nullptr || us.socket_context(0, us_socket) != context_) return nullptr;
  Connection* connection = stamp_of(us_socket);
  return connection->socket == us_socket ? connection : nullptr;
}

int Bridge::fd_of(const Connection& connection) const {
  const auto handle = us.socket_get_native_handle(0, connection.socket);
  return static_cast<int>(reinterpret_cast<intptr_t>(handle));
}

int Bridge::watch_frames(void* socket) {
  us_socket_t* us_socket = static_cast<us_socket_t*>(socket);
  if (us_socket == nullptr) return -1;
  us_socket_context_t* context = us.socket_context(0, us_socket);
  if (frames_context_ == nullptr) {
    uws_on_frames_ = replaced_handler(context, us.socket_context_on_data, &data_sentinel);
    if (uws_on_frames_ == nullptr) return -1;
    us.socket_context_on_data(0, context, &Bridge::on_frames);
    frames_context_ = context;
  }
  if (context != frames_context_) return -1;
  return static_cast<int>(reinterpret_cast<intptr_t>(us.socket_get_native_handle(0, us_socket)));
}

void Bridge::close(Connection& connection) { us.socket_close(0, connection.socket, 0, nullptr); }

bool Bridge::send(Connection& connection, std::string_view bytes) {
  const ssize_t sent =
      ::send(fd_of(connection), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) return false;
  // Its end is read next. Not closed here: the callers go on with the connection.
  if (static_cast<size_t>(sent) < bytes.size()) shutdown(fd_of(connection), SHUT_RDWR);
  us.socket_timeout(0, connection.socket, kIdleSeconds);
  return true;
}

bool Bridge::is_backed_up(const Connection& connection) const {
  return (us.poll_events(connection.socket) & kWaitsToWrite) != 0;
}

void Bridge::pass(Connection& connection, std::string_view bytes) {
  current_ = uws_on_data_(connection.socket, const_cast<char*>(bytes.data()),
                          static_cast<int>(bytes.size()));
}

// uSockets' own pause is not exported. With libuv a poll needs no loop to be changed.
void Bridge::stop_reading(Connection& connection) {
  us.poll_change(connection.socket, nullptr, us.poll_events(connection.socket) & kWaitsToWrite);
}

void Bridge::start_reading(Connection& connection) {
  us.poll_change(connection.socket, nullptr, us.poll_events(connection.socket) | UV_READABLE);
}

void Bridge::wait_to_write(Connection& connection) {
  us.poll_change(connection.socket, nullptr, kWaitsToWrite);
}

void Bridge::pause(Connection& connection) {
  stop_reading(connection);
  us.socket_timeout(0, connection.socket, 0);
}

void Bridge::resume(Connection& connection) {
  start_reading(connection);
  us.socket_timeout(0, connection.socket, kIdleSeconds);
}

void Bridge::go_on(Connection& connection) { on_data(connection.socket, nullptr, 0); }

Bridge* Bridge::bridge_of(us_socket_context_t* context) {
  for (size_t i = 0; i < contexts.size(); i++) {
    if (contexts[i] == context) return bridges[i];
  }
  return nullptr;
}

us_socket_t* Bridge::on_close(us_socket_t* socket, int code, void* reason) {
  Bridge* bridge = bridge_of(us.socket_context(0, socket));
  Connection* connection = stamp_of(socket);
  // uWebSockets first: its abort handlers may still ask whose connection this was.
  us_socket_t* result = bridge->uws_on_close_(socket, code, reason);
  if (!connection->is_detached()) bridge->hooks_.closed(*connection);
  connection->~Connection();
  return result;
}

us_socket_t* Bridge::on_data(us_socket_t* socket, char* data, int length) {
  Bridge* bridge = bridge_of(us.socket_context(0, socket));
  us_socket_t* const outer = std::exchange(bridge->current_, socket);
  bridge->hooks_.data(*stamp_of(socket), data, static_cast<size_t>(length));
  return std::exchange(bridge->current_, outer);
}

us_socket_t* Bridge::on_writable(us_socket_t* socket) {
  Bridge* bridge = bridge_of(us.socket_context(0, socket));
  us_socket_t* result = bridge->uws_on_writable_(socket);
  if (us.socket_is_closed(0, socket) == 0) bridge->hooks_.written(*stamp_of(socket));
  return result;
}

us_socket_t* Bridge::on_frames(us_socket_t* socket, char* data, int length) {
  const us_socket_context_t* context = us.socket_context(0, socket);
  for (Bridge* bridge : bridges) {
    if (bridge->frames_context_ != context) continue;
    const auto handle = us.socket_get_native_handle(0, socket);
    const int fd = static_cast<int>(reinterpret_cast<intptr_t>(handle));
    if (!bridge->hooks_.frames(fd, static_cast<size_t>(length))) {
      return us.socket_close(0, socket, 0, nullptr);
    }
    return bridge->uws_on_frames_(socket, data, length);
  }
  return socket;
}

}  // namespace devlxd
