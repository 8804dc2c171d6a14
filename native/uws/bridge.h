#ifndef DEVLXD_UWS_BRIDGE_H_
#define DEVLXD_UWS_BRIDGE_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "identity/caller.h"
#include "os/own_fd.h"

struct us_socket_t;
struct us_socket_context_t;

namespace devlxd {

// A connection that uWebSockets serves. It lies in the last bytes of the socket's own extension, so
// it lives exactly as long as the socket does and never moves.
struct Connection {
  Caller caller;
  us_socket_t* socket = nullptr;
  Connection* previous = nullptr;  // its instance's list, or that of the callers without one
  Connection* next = nullptr;
  bool detached = false;  // no longer the gate's: an upgrade or a hand-over took it
  // Every request on it so far has been answered, and all of the answers are with the kernel: what
  // comes next begins a request, and may be answered without uWebSockets.
  bool at_request_boundary = true;
  bool throttled = false;  // not read: its instance asks too often
  // What has been read and uWebSockets has not seen: the beginning of a request line whose end has
  // not come yet, or what is throttled.
  std::unique_ptr<std::string> held;
};

// The only code that knows uSockets: it puts accepted descriptors into the HTTP context of one
// uWebSockets.js app and keeps a Connection on each.
//
// uWebSockets.js has no JavaScript function for this in the builds that the registry carries, but
// its binary exports the C functions of uSockets. Each is looked up by name; a missing one is an
// error that names it.
class Bridge {
 public:
  // Called once for each adopted connection, when its socket closes without having been detached.
  using OnClosed = std::function<void(Connection&)>;

  enum class Verdict {
    kPass,  // on to uWebSockets
    kDone,  // dealt with, or the connection was closed: uWebSockets never sees them
    kHold,  // come back with more, or with resume()
  };

  // Data, on their way to uWebSockets.
  struct OnData {
    std::function<Verdict(Connection&, std::string_view)> before;
    // uWebSockets has seen them; the connection may be gone.
    std::function<void()> after;
  };

  Bridge(OnClosed on_closed, OnData on_data)
      : on_closed_(std::move(on_closed)), on_data_hooks_(std::move(on_data)) {}
  ~Bridge();
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;

  // listen_token: what app.listen_unix() gave, as the pointer in its v8::External.
  // binary: path of the loaded uws_*.node. Returns the step that failed, or an empty string.
  std::string open(void* listen_token, const char* binary);

  // Gives fd to uSockets, which closes it from here on. Null when it would not take it.
  Connection* adopt(OwnFd fd, Caller caller);

  // The connection behind the us_socket_t of an HttpResponse; null for a socket of another context.
  Connection* connection_of(void* socket) const;

  // The descriptor of a connection, still owned by uSockets.
  int fd_of(const Connection& connection) const;

  // Sends bytes past uWebSockets, all or none: false, when the kernel would not take them now.
  // Only while nothing is backed up. Closes a connection of which the kernel took a part.
  bool send(Connection& connection, std::string_view bytes);

  // Does uWebSockets hold bytes that the kernel would not take?
  bool is_backed_up(const Connection& connection) const;

  // Reads nothing from the connection, not even its end, until read_again(). Its time does not run
  // out.
  void pause(Connection& connection);
  void read_again(Connection& connection);
  // Reads again, and comes back with what is held. The connection may be gone afterwards.
  void resume(Connection& connection);

  // Closes the socket; OnClosed is called before this returns.
  void close(Connection& connection);

 private:
  using CloseHandler = us_socket_t* (*)(us_socket_t*, int code, void* reason);
  using DataHandler = us_socket_t* (*)(us_socket_t*, char* data, int length);

  std::string find_functions(const char* binary);
  std::string hook_handlers();
  static Bridge* bridge_of(us_socket_context_t* context);
  static us_socket_t* on_close(us_socket_t* socket, int code, void* reason);
  static us_socket_t* on_data(us_socket_t* socket, char* data, int length);

  OnClosed on_closed_;
  OnData on_data_hooks_;
  us_socket_context_t* context_ = nullptr;
  CloseHandler uws_on_close_ = nullptr;
  DataHandler uws_on_data_ = nullptr;
};

}  // namespace devlxd

#endif  // DEVLXD_UWS_BRIDGE_H_
