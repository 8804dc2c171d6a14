// Connections whose instance has used up its rate: they are not read, and their requests wait,
// until there are tokens again. Nothing is refused: cloud-init takes any error for "no data
// source".
#include "gate/gate.h"
#include "gate/request_head.h"

namespace devlxd {
namespace {

// How often it is looked whether somebody may go on; at 2,000 requests a second, ten tokens.
constexpr uint64_t kTickMilliseconds = 5;

// A copy: what is resumed changes the map.
std::vector<Slot> slots_of(const std::unordered_map<Slot, std::deque<Connection*>>& delayed) {
  std::vector<Slot> slots;
  slots.reserve(delayed.size());
  for (const auto& [slot, queue] : delayed) slots.push_back(slot);
  return slots;
}

}  // namespace

bool Gate::must_wait(const Caller& caller) {
  return caller.standing == Standing::kInstance && !rates_.has_token(caller.slot, uv_now(loop_));
}

void Gate::charge_request(const Caller& caller) {
  if (caller.standing == Standing::kInstance) rates_.charge(caller.slot, uv_now(loop_));
}

void Gate::delay(Connection& connection) {
  counters_.delayed++;
  restrain(connection.caller.slot, &InstanceCounters::delayed);
  connection.delayed = true;
  bridge_.pause(connection);
  std::deque<Connection*>& queue = delayed_[connection.caller.slot];
  queue.push_back(&connection);
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(delay_timer_)) != 0) return;
  uv_timer_start(
      delay_timer_, [](uv_timer_t* timer) { static_cast<Gate*>(timer->data)->resume_delayed(); },
      kTickMilliseconds, kTickMilliseconds);
}

void Gate::undelay(Connection& connection) {
  connection.delayed = false;
  const auto found = delayed_.find(connection.caller.slot);
  if (found == delayed_.end()) return;
  std::erase(found->second, &connection);
  if (found->second.empty()) delayed_.erase(found);
}

// One instance's next after the other's, first come, first served. What is resumed may close
// anything, and delay itself again.
void Gate::resume_delayed() {
  for (const Slot slot : slots_of(delayed_)) {
    while (rates_.has_token(slot, uv_now(loop_))) {
      const auto found = delayed_.find(slot);
      if (found == delayed_.end()) break;
      Connection& connection = *found->second.front();
      undelay(connection);
      bridge_.resume(connection);
    }
  }
  if (delayed_.empty()) uv_timer_stop(delay_timer_);
}

// Before the gate ends: who waits with one request is answered now, so that its connection can go
// on elsewhere. Those who have sent more ahead wait on: nobody can make the end of the gate long.
void Gate::answer_delayed() {
  rates_.lift(true);
  for (const Slot slot : slots_of(delayed_)) {
    auto found = delayed_.find(slot);
    size_t left = found == delayed_.end() ? 0 : found->second.size();
    for (; left > 0 && found != delayed_.end(); found = delayed_.find(slot), left--) {
      Connection& connection = *found->second.front();
      if (connection.held != nullptr && is_repeatable_request(*connection.held)) {
        undelay(connection);
        bridge_.resume(connection);
      } else {
        found->second.pop_front();
        found->second.push_back(&connection);
      }
    }
  }
  rates_.lift(false);
}

}  // namespace devlxd
