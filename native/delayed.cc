// Connections whose instance has used up its rate: they are not read, and their requests wait,
// until there are tokens again. Nothing is refused: cloud-init takes any error for "no data
// source".
#include "gate.h"

namespace devlxd {
namespace {

// How often it is looked whether somebody may go on; at 2,000 requests a second, ten tokens.
constexpr uint64_t kTickMilliseconds = 5;

}  // namespace

bool Gate::must_wait(const Caller& caller) {
  return caller.standing == Standing::kInstance && !rates_.has_token(caller.slot, uv_now(loop_));
}

void Gate::charge_request(const Caller& caller) {
  if (caller.standing == Standing::kInstance) rates_.charge(caller.slot, uv_now(loop_));
}

void Gate::delay(Connection& connection) {
  counters_.delayed++;
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
  std::vector<Slot> slots;
  for (const auto& [slot, queue] : delayed_) slots.push_back(slot);
  for (const Slot slot : slots) {
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

}  // namespace devlxd
