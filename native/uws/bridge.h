#ifndef DEVLXD_UWS_BRIDGE_H_
#define DEVLXD_UWS_BRIDGE_H_

#include <functional>
#include <string>
#include <string_view>

#include "identity/caller.h"
#include "os/own_fd.h"
#include "uws/connection.h"

struct us_socket_t;
struct us_socket_context_t;

namespace devlxd {

// The only code that knows uSockets: it puts accepted descriptors into the HTTP context of one
// uWebSockets.js app and keeps a Connection on each.
//
// uWebSockets.js has no JavaScript function for this in the builds that the registry carries, but
// its binary exports the C functions of uSockets. Each is looked up by name; a missing one is an
// error that names it.
class Bridge {
 public:
  struct Hooks {
    // Called once for each adopted connection, when its socket closes without having been detached.
    std::function<void(Connection&)> closed;
    // Data were read, which pass() gives to uWebSockets; null: the connection goes on.
    std::function<void(Connection&, char* data, size_t length)> data;
    // The kernel takes data again, and uWebSockets has written of what it held.
    std::function<void(Connection&)> written;
    // A WebSocket has sent this many bytes, which uWebSockets looks at next. False: it is closed.
    std::function<bool(int fd, size_t length)> frames;
  };

  // What uWebSockets' parser may write to behind what is passed (HttpParser.h,
  // MINIMUM_HTTP_POST_PADDING, twice).
  static constexpr size_t kParserPadding = 64;

  explicit Bridge(Hooks hooks) : hooks_(std::move(hooks)) {}
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

  // Has the frames hook called for a WebSocket. Gives its descriptor; -1: it cannot be.
  int watch_frames(void* socket);

  // Sends bytes past uWebSockets, all or none: false, when the kernel would not take them now.
  // Only while nothing is backed up. Ends a connection of which the kernel took a part.
  bool send(Connection& connection, std::string_view bytes);

  // Does uWebSockets hold bytes that the kernel would not take?
  bool is_backed_up(const Connection& connection) const;

  // Gives uWebSockets bytes, which it may write into, and behind. The connection may be gone
  // afterwards.
  void pass(Connection& connection, std::string_view bytes);

  // Reads nothing from the connection, not even its end. uSockets reads again when it writes.
  void stop_reading(Connection& connection);
  void start_reading(Connection& connection);
  // Reads nothing until the kernel takes more of what is written.
  void wait_to_write(Connection& connection);
  // Reads nothing, and its time does not run out.
  void pause(Connection& connection);
  void resume(Connection& connection);
  // Calls the data hook without data. The connection may be gone afterwards.
  void go_on(Connection& connection);

  // Closes the socket; the closed hook is called before this returns.
  void close(Connection& connection);

 private:
  using CloseHandler = us_socket_t* (*)(us_socket_t*, int code, void* reason);
  using DataHandler = us_socket_t* (*)(us_socket_t*, char* data, int length);
  using WritableHandler = us_socket_t* (*)(us_socket_t*);

  std::string find_functions(const char* binary);
  std::string hook_handlers();
  static Bridge* bridge_of(us_socket_context_t* context);
  static us_socket_t* on_close(us_socket_t* socket, int code, void* reason);
  static us_socket_t* on_data(us_socket_t* socket, char* data, int length);
  static us_socket_t* on_writable(us_socket_t* socket);
  static us_socket_t* on_frames(us_socket_t* socket, char* data, int length);

  Hooks hooks_;
  us_socket_t* current_ = nullptr;  // what the socket whose data are read has become
  us_socket_context_t* context_ = nullptr;
  CloseHandler uws_on_close_ = nullptr;
  DataHandler uws_on_data_ = nullptr;
  WritableHandler uws_on_writable_ = nullptr;
  us_socket_context_t* frames_context_ = nullptr;  // of the app's WebSockets
  DataHandler uws_on_frames_ = nullptr;
};

}  // namespace devlxd

#endif  // DEVLXD_UWS_BRIDGE_H_
