// Connections whose instance has used up its rate: they are not read, and their requests wait,
// until there are tokens again. Nothing is refused: cloud-init takes any error for "no data
// source".
#include "gate/gate.h"

namespace devlxd {
namespace {

// How often it is looked whether somebody may go on; at 2,000 requests a second, ten tokens.
constexpr uint64_t kTickMilliseconds = 5;

// A copy: what is resumed changes the map.
std::vector<Slot> slots_of(const std::unordered_map<Slot, std::deque<Connection*>>& throttled) {
  std::vector<Slot> slots;
  slots.reserve(throttled.size());
  for (const auto& [slot, queue] : throttled) slots.push_back(slot);
  return slots;
}

}  // namespace

bool Gate::must_wait(const Connection& connection) {
  const Caller& caller = connection.caller;
  return caller.kind == CallerKind::kInstance &&
         !rate_limiter_.has_token(caller.slot, uv_now(loop_));
}

void Gate::charge_request(const Caller& caller) {
  if (caller.kind == CallerKind::kInstance) rate_limiter_.charge(caller.slot, uv_now(loop_));
}

void Gate::throttle(Connection& connection) {
  count_hit(Limit::kRequestsPerSecond, connection.caller.slot);
  connection.throttled();
  bridge_.pause(connection);
  std::deque<Connection*>& queue = throttled_[connection.caller.slot];
  queue.push_back(&connection);
  throttle_timer_.start(
      [](uv_timer_t* timer) { static_cast<Gate*>(timer->data)->resume_throttled(); },
      kTickMilliseconds);
}

void Gate::unthrottle(Connection& connection) {
  connection.unthrottled();
  const auto found = throttled_.find(connection.caller.slot);
  if (found == throttled_.end()) return;
  std::erase(found->second, &connection);
  if (found->second.empty()) throttled_.erase(found);
}

// One instance's next after the other's, first come, first served. What is resumed may close
// anything, and throttle itself again.
void Gate::resume_throttled() {
  for (const Slot slot : slots_of(throttled_)) {
    while (rate_limiter_.has_token(slot, uv_now(loop_))) {
      const auto found = throttled_.find(slot);
      if (found == throttled_.end()) break;
      Connection& connection = *found->second.front();
      unthrottle(connection);
      bridge_.resume(connection);
      bridge_.go_on(connection);
    }
  }
  if (throttled_.empty()) throttle_timer_.stop();
}

// Before the gate ends: who waits with one request is answered now, so that its connection can go
// on elsewhere. Those who have sent more ahead wait on: nobody can make the end of the gate long.
void Gate::answer_throttled() {
  rate_limiter_.lift(true);
  for (const Slot slot : slots_of(throttled_)) {
    auto found = throttled_.find(slot);
    size_t left = found == throttled_.end() ? 0 : found->second.size();
    for (; left > 0 && found != throttled_.end(); found = throttled_.find(slot), left--) {
      Connection& connection = *found->second.front();
      if (connection.held != nullptr && RequestReader::is_single_request(*connection.held)) {
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
