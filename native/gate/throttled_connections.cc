// Connections whose payer has used up its rate, or its share of this turn of the event loop: they
// are not read, and their requests wait, until there are tokens again. Nothing is refused:
// cloud-init takes any error for "no data source".
#include <utility>

#include "gate/gate.h"

namespace devlxd {
namespace {

// A read up to this is paid for by the request that it brings.
constexpr size_t kFreeBytes = 4096;

// Between two looks for payers that may go on; at 2,000 requests a second, ten tokens.
constexpr uint64_t kThrottleTickMilliseconds = 5;

// What each connection may have in memory while its payer must wait. After a longer read nothing is
// read from the others.
constexpr size_t kShortRead = 64 * 1024;

// Resumed at once, of one payer, of which nothing was read: there may be nothing to read.
constexpr size_t kMostUnread = 16;

}  // namespace

// May it go on now?
bool Gate::may_work(Payer payer) {
  if (!rate_limiter_.limited()) return true;
  return rate_limiter_.may_work(payer, uv_now(loop_)) &&
         turn_shares_.has_left(payer, clock_of_loop_.turn());
}

bool Gate::must_wait(const Connection& connection) {
  const Payer payer = payer_of(connection.caller);
  spend_turn(payer);
  return !may_work(payer);
}

void Gate::spend_turn(Payer payer) {
  if (!rate_limiter_.limited()) return;
  const uint64_t now = LoopClock::now();
  turn_shares_.spend(payer, clock_of_loop_.turn(), now - std::exchange(read_since_, now));
}

void Gate::read(Connection& connection, char* data, size_t length) {
  const Payer payer = payer_of(connection.caller);  // the connection may be gone afterwards
  if (rate_limiter_.limited()) read_since_ = LoopClock::now();
  charge_read(connection, length);
  reader_.take(connection, data, length);
  spend_turn(payer);
  if (length > kShortRead && !may_work(payer)) throttle_unread(payer);
}

void Gate::charge(Payer payer, double tokens) {
  rate_limiter_.charge(payer, uv_now(loop_), tokens);
}

// A request pays for the read that it came in, if that is not long. Pieces pay for themselves.
void Gate::charge_read(const Connection& connection, size_t bytes) {
  if (bytes <= kFreeBytes && !connection.is_in_request()) return;
  const double piece = connection.is_in_request() && bytes > 0 ? 1 : 0;
  charge(payer_of(connection.caller), piece + static_cast<double>(bytes) / kBytesPerToken);
}

void Gate::throttle(Connection& connection) {
  const Payer payer = payer_of(connection.caller);
  if (!rate_limiter_.may_work(payer, uv_now(loop_))) {
    count_hit(Limit::kRequestsPerSecond, connection.caller.slot);
  }
  connection.throttled();
  bridge_.pause(connection);
  throttled_.add_read(payer, connection);
  wait_for_turn(payer);
}

// Its payer has sent much and must wait: each of its other connections may have as much to read,
// and what is read is in memory.
void Gate::throttle_unread(Payer payer) {
  const Instance* instance = instances_.at(payer);  // null: a user of the host
  Connection* next = instance == nullptr ? without_instance_ : instance->first;
  for (; next != nullptr; next = next->next) {
    if (!next->may_be_paused() || payer_of(next->caller) != payer) continue;
    next->throttled();
    bridge_.pause(*next);
    throttled_.add_unread(payer, *next);
  }
  wait_for_turn(payer);
}

// Until the next turn of the loop, when only the share of this one is spent; else for its rate.
void Gate::wait_for_turn(Payer payer) {
  if (rate_limiter_.may_work(payer, uv_now(loop_))) {
    next_turn_.start([](uv_idle_t* idle) { static_cast<Gate*>(idle->data)->resume_throttled(); });
  } else {
    throttle_timer_.start(
        [](uv_timer_t* timer) { static_cast<Gate*>(timer->data)->resume_throttled(); },
        kThrottleTickMilliseconds);
  }
}

void Gate::unthrottle(Connection& connection) {
  connection.unthrottled();
  throttled_.remove(payer_of(connection.caller), connection);
}

void Gate::resume(Connection& connection) {
  unthrottle(connection);
  bridge_.resume(connection);
  if (connection.held != nullptr) bridge_.go_on(connection);
}

void Gate::resume_throttled() {
  next_turn_.stop();
  for (const Payer payer : throttled_.payers()) resume_throttled(payer);
  if (throttled_.empty()) throttle_timer_.stop();
}

// Resuming runs JavaScript: it may close or throttle any connection.
void Gate::resume_throttled(Payer payer) {
  size_t unread = 0;
  while (Connection* connection = throttled_.next(payer)) {
    const bool is_unread = connection->held == nullptr;
    if (!may_work(payer) || (is_unread && unread++ == kMostUnread)) return wait_for_turn(payer);
    resume(*connection);
  }
}

// Before a handover: answers connections that wait with one request, so that the next process can
// go on with them. Connections that have sent more ahead wait on: no guest can delay the handover.
void Gate::answer_throttled() {
  rate_limiter_.lift(true);
  for (const Payer payer : throttled_.payers()) {
    for (Connection* connection : throttled_.read_of(payer)) {
      if (throttled_.has(payer, connection) && connection->is_throttled_between_requests() &&
          connection->held != nullptr && RequestReader::is_single_request(*connection->held)) {
        resume(*connection);
      }
    }
  }
  rate_limiter_.lift(false);
}

}  // namespace devlxd
