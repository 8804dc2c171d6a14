#ifndef DEVLXD_UWS_CONNECTION_H_
#define DEVLXD_UWS_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "gate/request_body.h"
#include "identity/caller.h"

struct us_socket_t;

namespace devlxd {

// What a connection is doing. One request at a time is with uWebSockets; the next one begins when
// the response to it has ended, which means: JavaScript has given all of it, and the kernel has
// taken all of it. Whether that response may be cached has nothing to do with it.
enum class ConnectionState : uint8_t {
  // Every request has been answered. What is read next begins a request. The only state in which a
  // response may be sent past uWebSockets, or another process may go on with the connection.
  kBoundary,
  // As kBoundary, and the first part of a head is held.
  kPartialHead,
  // Not read, because its payer must wait; it goes on in the state that it had. What was read is
  // held.
  kThrottled,
  // The head of a request is with uWebSockets, and its body is passed on as it comes.
  kRequest,
  // The whole request is with uWebSockets. What is read next waits for the response.
  kResponse,
  // The response was given before the body had come to its end, which is read and ignored.
  kIgnoredBody,
  // The whole request is there and its response was given; the kernel may not have taken all of it.
  kFlush,
  // An upgrade, an image or a stream of events has taken the connection from uWebSockets.
  kDetached,
};

// HTTP/1.0 knows no chunks, and a connection goes on only if the client asks for that.
enum class HttpVersion : uint8_t { kHttp11, kHttp10, kHttp10KeptAlive };

// A connection that uWebSockets serves. It lies in the last bytes of the socket's own extension, so
// it lives exactly as long as the socket does and never moves.
class Connection {
 public:
  Caller caller;
  us_socket_t* socket = nullptr;
  Connection* previous = nullptr;  // its instance's list, or that of the callers without one
  Connection* next = nullptr;
  // What has been read and is not with uWebSockets: a part of a head, or what waits for its turn.
  std::unique_ptr<std::string> held;
  size_t searched = 0;    // of what is held, how much has been searched for the end of a head
  RequestBody body;       // of the request that is being read
  size_t ignored = 0;     // bytes of it that came after its response
  uint64_t begun_at = 0;  // since when its answer is due, by LoopClock; 0: none is
  HttpVersion version = HttpVersion::kHttp11;  // of the last request
  bool is_queued = false;                      // by RequestReader

  ConnectionState state() const { return state_; }
  bool is_detached() const { return state_ == ConnectionState::kDetached; }
  bool is_throttled() const { return state_ == ConnectionState::kThrottled; }
  // May a request begin?
  bool is_between_requests() const {
    return state_ == ConnectionState::kBoundary || state_ == ConnectionState::kPartialHead;
  }
  // Is it throttled where a request may begin?
  bool is_throttled_between_requests() const {
    return is_throttled() && (before_throttle_ == ConnectionState::kBoundary ||
                              before_throttle_ == ConnectionState::kPartialHead);
  }
  // Is more held than the first part of a head?
  bool holds_request() const { return held != nullptr && state_ != ConnectionState::kPartialHead; }
  // Is a part of a head held?
  bool has_part_of_head() const {
    return state_ == ConnectionState::kPartialHead ||
           (is_throttled() && before_throttle_ == ConnectionState::kPartialHead);
  }
  // Would the next read be a further piece of a request?
  bool is_in_request() const {
    return state_ == ConnectionState::kPartialHead || reads_body() || is_throttled();
  }
  // Is every request that has begun answered, as far as JavaScript is concerned? What is held is
  // not with uWebSockets then.
  bool is_between_responses() const {
    return is_between_requests() || is_throttled_between_requests() ||
           state_ == ConnectionState::kFlush;
  }
  // May it be throttled when nothing was read from it?
  bool may_be_paused() const { return (is_between_requests() || reads_body()) && !is_queued; }
  bool reads_body() const {
    return state_ == ConnectionState::kRequest || state_ == ConnectionState::kIgnoredBody;
  }

  // The transitions. docs/native-lifecycle.md has the table.
  void part_of_head_held();
  void answered_past_uws();
  void throttled();
  void unthrottled();
  void request_begun(RequestBody its_body, HttpVersion its_version);
  void body_ended();
  void response_given();
  void flushed();
  void detached();

 private:
  ConnectionState& current() { return is_throttled() ? before_throttle_ : state_; }

  ConnectionState state_ = ConnectionState::kBoundary;
  ConnectionState before_throttle_ = ConnectionState::kBoundary;
};

}  // namespace devlxd

#endif  // DEVLXD_UWS_CONNECTION_H_
