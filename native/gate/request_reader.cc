#include "gate/request_reader.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace devlxd {
namespace {

// A client that sends more than that ahead does not wait for answers.
constexpr size_t kMostAhead = 64 * 1024;

// Of one connection in one turn of the loop; what is left waits for the next turn.
constexpr size_t kMostRequests = 128;

// Of a body, between two looks whether its payer must wait.
constexpr size_t kMostPiece = 64 * 1024;

// So much of a body may come after its response was given.
constexpr size_t kMostIgnored = 64 * 1024;

std::string_view refusal_of(HeadOutcome why) {
  switch (why) {
    case HeadOutcome::kTooLarge:
      return "HTTP/1.1 431 Request Header Fields Too Large\r\n"
             "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
             "Connection: close\r\nContent-Length: 32\r\n\r\nRequest Header Fields Too Large\n";
    case HeadOutcome::kUnknownCoding:
      return "HTTP/1.1 501 Not Implemented\r\n"
             "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
             "Connection: close\r\nContent-Length: 16\r\n\r\nNot Implemented\n";
    default:
      return "HTTP/1.1 400 Bad Request\r\n"
             "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
             "Connection: close\r\nContent-Length: 12\r\n\r\nBad Request\n";
  }
}

// Empty lines before a request are ignored (RFC 9112, 2.2).
std::string_view without_empty_lines(std::string_view data) {
  for (;;) {
    if (data.starts_with('\n')) {
      data.remove_prefix(1);
    } else if (data.starts_with("\r\n")) {
      data.remove_prefix(2);
    } else {
      return data;
    }
  }
}

}  // namespace

void RequestReader::take(Connection& connection, char* data, size_t length) {
  Turn turn = {.connection = &connection, .rest = {data, length}};
  if (connection.held == nullptr) return run(turn);
  const std::unique_ptr<std::string> held = std::move(connection.held);
  held->append(turn.rest);
  const size_t size = held->size();
  held->append(Bridge::kParserPadding, '\0');
  turn.rest = std::string_view(held->data(), size);
  run(turn);
}

void RequestReader::run(Turn& turn) {
  turn.outer = std::exchange(turn_, &turn);
  while (step(turn)) {
  }
  turn_ = turn.outer;
  if (turn.connection != nullptr && !turn.rest.empty()) hold(turn);
}

// False: nothing more can be done now.
bool RequestReader::step(Turn& turn) {
  Connection& connection = *turn.connection;
  if (!bridge_.is_backed_up(connection)) connection.flushed();
  if (turn.rest.empty()) return false;
  if (connection.reads_body()) return !waits(turn) && pass_with_body(turn, {});
  return connection.is_between_requests() && turn.requests++ < kMostRequests && begin(turn);
}

// For a request, or a piece of its body.
bool RequestReader::waits(const Turn& turn) {
  Connection& connection = *turn.connection;
  if (!policy_.must_wait(connection)) return false;
  policy_.throttle(connection);
  return true;
}

bool RequestReader::begin(Turn& turn) {
  Connection& connection = *turn.connection;
  if (waits(turn)) {
    if (!connection.has_part_of_head()) policy_.begun(connection);
    return false;
  }
  if (policy_.answer_from_cache(connection, turn.rest)) {
    turn.rest = {};
    return false;
  }
  const std::string_view data = without_empty_lines(turn.rest);
  size_t searched = data.size() == turn.rest.size() ? connection.searched : 0;
  turn.rest = data;
  const size_t length = head_length(data, searched);
  if (length == 0 || length > kLongestHead) return hold_partial_head(turn, searched);
  const std::string_view head = data.substr(0, length);
  return begin(turn, head, read_head(head));
}

// Nothing is said about such a head before it is whole, but for its first line and its length.
bool RequestReader::hold_partial_head(Turn& turn, size_t searched) {
  Connection& connection = *turn.connection;
  if (turn.rest.size() > kLongestHead) return refuse(turn, HeadOutcome::kTooLarge);
  const size_t line = turn.rest.find('\n');
  if (line != std::string_view::npos && line >= connection.searched &&
      !is_request_line(turn.rest.substr(0, line))) {
    return refuse(turn, HeadOutcome::kBadRequest);
  }
  connection.searched = searched;
  connection.part_of_head_held();
  return false;
}

bool RequestReader::begin(Turn& turn, std::string_view bytes, const RequestHead& head) {
  Connection& connection = *turn.connection;
  const bool plain = head.outcome == HeadOutcome::kPlain;
  if (!plain && head.outcome != HeadOutcome::kOdd) return refuse(turn, head.outcome);
  const std::string made = plain ? std::string() : plain_head(bytes, head);
  const std::string_view request = plain ? bytes : std::string_view(made);
  if (head.is_repeatable) {
    const bool looked_up = plain && bytes.size() == turn.rest.size();
    if ((!looked_up && policy_.answer_from_cache(connection, request)) ||
        policy_.answer_directly(connection, request, head.closes)) {
      turn.rest.remove_prefix(bytes.size());
      return turn.connection != nullptr;
    }
    turn.repeatable = {std::string(request), head.closes};
  }
  connection.request_begun(head.body, head.version);
  policy_.begun(connection);
  return pass_request(turn, bytes, made);
}

// Without a copy when the request is plain and nothing stands behind it.
bool RequestReader::pass_request(Turn& turn, std::string_view bytes, std::string_view made) {
  turn.rest.remove_prefix(bytes.size());
  if (made.empty() && turn.rest.empty()) return pass(turn, bytes);
  return pass_with_body(turn, std::string(made.empty() ? bytes : made));
}

// And as much of the body as is there.
bool RequestReader::pass_with_body(Turn& turn, std::string bytes) {
  Connection& connection = *turn.connection;
  std::string_view piece = turn.rest.substr(0, kMostPiece);
  const size_t length = piece.size();
  if (!connection.body.ended() && !connection.body.take(piece, bytes)) {
    return refuse(turn, HeadOutcome::kBadRequest);
  }
  const size_t taken = length - piece.size();
  turn.rest.remove_prefix(taken);
  if (connection.state() == ConnectionState::kIgnoredBody) {
    connection.ignored += taken;
    if (connection.ignored > kMostIgnored) {
      bridge_.close(connection);
      return false;
    }
  }
  if (connection.body.ended()) connection.body_ended();
  if (bytes.empty()) return true;
  const size_t size = bytes.size();
  bytes.append(Bridge::kParserPadding, '\0');
  return pass(turn, std::string_view(bytes.data(), size));
}

bool RequestReader::pass(Turn& turn, std::string_view bytes) {
  bridge_.pass(*turn.connection, bytes);
  turn.repeatable = {};
  return turn.connection != nullptr;
}

// Also in the middle of a body, as long as nothing was answered yet.
bool RequestReader::refuse(Turn& turn, HeadOutcome why) {
  Connection& connection = *turn.connection;
  const bool sent = connection.state() == ConnectionState::kIgnoredBody ||
                    bridge_.send(connection, refusal_of(why));
  if (!sent && errno == EAGAIN && connection.is_between_requests()) {
    bridge_.wait_to_write(connection);  // its peer has responses to read first
    return false;
  }
  policy_.refused(connection, why);
  if (turn.connection != nullptr) bridge_.close(connection);
  return false;
}

void RequestReader::hold(const Turn& turn) {
  Connection& connection = *turn.connection;
  const bool partial = connection.has_part_of_head();
  const size_t most = connection.is_throttled() && turn.requests <= 1 ? kMostHeld : kMostAhead;
  if (!partial && turn.rest.size() > most) {
    policy_.sent_ahead(connection);
    bridge_.close(connection);
    return;
  }
  connection.held = std::make_unique<std::string>(turn.rest);
  if (partial || connection.is_throttled()) return;
  bridge_.stop_reading(connection);
  if (connection.is_between_requests()) queue(connection);
}

void RequestReader::begin_with(Connection& connection, std::string bytes) {
  connection.held = std::make_unique<std::string>(std::move(bytes));
  connection.part_of_head_held();
  queue(connection);
}

// Whether that was all of it shows in the next turn.
void RequestReader::written(Connection& connection) {
  const bool waits =
      connection.state() == ConnectionState::kFlush || connection.is_between_requests();
  if (connection.held != nullptr && waits) {
    queue(connection);
  }
}

// It is with the kernel when uWebSockets has been left; when a turn of the connection runs, that
// goes on with what is held.
void RequestReader::response_given(Connection& connection) {
  connection.response_given();
  if (connection.held != nullptr) queue(connection);
}

void RequestReader::queue(Connection& connection) {
  if (connection.is_queued) return;
  connection.is_queued = true;
  queued_.push_back(&connection);
  next_turn_.start([](uv_idle_t* idle) { static_cast<RequestReader*>(idle->data)->run_queued(); });
}

// What is run may queue itself again, for the next turn, and close any other.
void RequestReader::run_queued() {
  for (size_t left = queued_.size(); left > 0; left--) {
    Connection* connection = queued_.front();
    queued_.pop_front();
    if (connection == nullptr) continue;
    connection->is_queued = false;
    // A failed write has made uSockets read again, which is how the end of the peer shows: stopping
    // that here, after each attempt to write to a peer that has gone, would never end.
    if (bridge_.is_backed_up(*connection)) continue;
    bridge_.start_reading(*connection);
    bridge_.go_on(*connection);
  }
  if (queued_.empty()) next_turn_.stop();
}

void RequestReader::forget(Connection& connection) {
  for (Turn* turn = turn_; turn != nullptr; turn = turn->outer) {
    if (turn->connection == &connection) turn->connection = nullptr;
  }
  if (!connection.is_queued) return;
  connection.is_queued = false;
  std::replace(queued_.begin(), queued_.end(), &connection, static_cast<Connection*>(nullptr));
}

const RepeatableRequest* RequestReader::repeatable_request(const Connection& connection) const {
  const bool runs = turn_ != nullptr && turn_->connection == &connection;
  return runs && !turn_->repeatable.bytes.empty() ? &turn_->repeatable : nullptr;
}

bool RequestReader::is_single_request(std::string_view data) {
  size_t searched = 0;
  return head_length(data, searched) == data.size() && read_head(data).body.ended();
}

}  // namespace devlxd
