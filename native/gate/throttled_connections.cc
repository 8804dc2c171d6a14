// Connections whose payer has used up its rate, or its share of this turn of the event loop: they
// are not read, and their requests wait, until there are tokens again. Nothing is refused:
// cloud-init takes any error for "no data source".
#include "gate/gate.h"

namespace devlxd {
namespace {

// A read up to this is paid for by the request that it brings.
constexpr size_t kFreeBytes = 4096;
constexpr double kBytesPerToken = 4096;

// Between two looks for payers that may go on; at 2,000 requests a second, ten tokens.
constexpr uint64_t kTickMilliseconds = 5;

// A copy: what is resumed changes the map.
std::vector<Payer> payers_of(const std::unordered_map<Payer, std::deque<Connection*>>& throttled) {
  std::vector<Payer> payers;
  payers.reserve(throttled.size());
  for (const auto& [payer, queue] : throttled) payers.push_back(payer);
  return payers;
}

}  // namespace

bool Gate::must_wait(const Connection& connection) {
  return !rate_limiter_.may_work(payer_of(connection.caller), uv_now(loop_));
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
  if (rate_limiter_.is_empty(payer, uv_now(loop_))) {
    count_hit(Limit::kRequestsPerSecond, connection.caller.slot);
  }
  connection.throttled();
  bridge_.pause(connection);
  std::deque<Connection*>& queue = throttled_[payer];
  queue.push_back(&connection);
  throttle_timer_.start(
      [](uv_timer_t* timer) { static_cast<Gate*>(timer->data)->resume_throttled(); },
      kTickMilliseconds);
}

void Gate::unthrottle(Connection& connection) {
  connection.unthrottled();
  const auto found = throttled_.find(payer_of(connection.caller));
  if (found == throttled_.end()) return;
  std::erase(found->second, &connection);
  if (found->second.empty()) throttled_.erase(found);
}

// FIFO within a payer. Resuming runs JavaScript: it may close or throttle any connection.
void Gate::resume_throttled() {
  for (const Payer payer : payers_of(throttled_)) {
    while (rate_limiter_.may_work(payer, uv_now(loop_))) {
      const auto found = throttled_.find(payer);
      if (found == throttled_.end()) break;
      Connection& connection = *found->second.front();
      unthrottle(connection);
      bridge_.resume(connection);
      bridge_.go_on(connection);
    }
  }
  if (throttled_.empty()) throttle_timer_.stop();
}

// Before a handover: answers connections that wait with one request, so that the next process can
// go on with them. Connections that have sent more ahead wait on: no guest can delay the handover.
void Gate::answer_throttled() {
  rate_limiter_.lift(true);
  for (const Payer payer : payers_of(throttled_)) {
    auto found = throttled_.find(payer);
    size_t left = found == throttled_.end() ? 0 : found->second.size();
    for (; left > 0 && found != throttled_.end(); found = throttled_.find(payer), left--) {
      Connection& connection = *found->second.front();
      if (connection.is_throttled_between_requests() && connection.held != nullptr &&
          RequestReader::is_single_request(*connection.held)) {
        unthrottle(connection);
        bridge_.resume(connection);
        bridge_.go_on(connection);
      } else {
        found->second.pop_front();
        found->second.push_back(&connection);
      }
    }
  }
  rate_limiter_.lift(false);
}

}  // namespace devlxd
