#include "uws/connection.h"

namespace devlxd {

using enum ConnectionState;

void Connection::part_of_head_held() { state_ = kPartialHead; }

void Connection::throttled() { state_ = kThrottled; }

void Connection::unthrottled() { state_ = kBoundary; }

void Connection::request_begun(RequestBody its_body, HttpVersion its_version) {
  body = its_body;
  version = its_version;
  searched = 0;
  ignored = 0;
  state_ = body.ended() ? kResponse : kRequest;
}

void Connection::body_ended() {
  if (state_ == kRequest) state_ = kResponse;
  if (state_ == kIgnoredBody) state_ = kFlush;
}

void Connection::response_given() {
  if (state_ == kRequest) state_ = kIgnoredBody;
  if (state_ == kResponse) state_ = kFlush;
}

void Connection::flushed() {
  if (state_ == kFlush) state_ = kBoundary;
}

void Connection::detached() { state_ = kDetached; }

}  // namespace devlxd
