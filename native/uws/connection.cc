#include "uws/connection.h"

namespace devlxd {

using enum ConnectionState;

void Connection::part_of_head_held() { state_ = kPartialHead; }

void Connection::answered_past_uws() {
  searched = 0;
  state_ = kBoundary;
}

void Connection::throttled() {
  before_throttle_ = state_;
  state_ = kThrottled;
}

void Connection::unthrottled() { state_ = before_throttle_; }

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
  ConnectionState& state = current();
  if (state == kRequest) state = kIgnoredBody;
  if (state == kResponse) state = kFlush;
}

void Connection::flushed() {
  if (state_ == kFlush) state_ = kBoundary;
}

void Connection::detached() { state_ = kDetached; }

}  // namespace devlxd
