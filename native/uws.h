#ifndef DEVLXD_UWS_H_
#define DEVLXD_UWS_H_

#include <functional>
#include <string>
#include <string_view>

#include "own_fd.h"
#include "peer.h"

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
  bool heard = false;     // its first data have come
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

  // Called with the first data of a connection. True: it was closed, and uWebSockets never sees
  // them.
  using OnFirstData = std::function<bool(Connection&, std::string_view)>;

  Bridge(OnClosed on_closed, OnFirstData on_first_data)
      : on_closed_(std::move(on_closed)), on_first_data_(std::move(on_first_data)) {}
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
  OnFirstData on_first_data_;
  us_socket_context_t* context_ = nullptr;
  CloseHandler uws_on_close_ = nullptr;
  DataHandler uws_on_data_ = nullptr;
};

}  // namespace devlxd

#endif  // DEVLXD_UWS_H_
