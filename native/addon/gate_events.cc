#include "addon/gate_events.h"

namespace devlxd {

GateEvents::GateEvents(const Napi::Object& functions)
    : context_(functions.Env(), "devlxd:gate"), functions_(Napi::Persistent(functions)) {}

Gate::Events GateEvents::events() {
  return {.init_exited = [this](const std::vector<Slot>& slots) { init_exited(slots); },
          .held = [this](const std::vector<const PendingCaller*>& callers) { held(callers); },
          .let_go = [this](const std::vector<Ticket>& tickets) { let_go(tickets); }};
}

// fill: gives the number at an index of the array that the function gets
template <typename Fill>
void GateEvents::call(const char* name, size_t length, Fill fill) {
  const Napi::Env env = functions_.Env();
  const Napi::HandleScope scope(env);
  Napi::Array list = Napi::Array::New(env, length);
  for (uint32_t i = 0; i < length; i++) list[i] = Napi::Number::New(env, fill(i));
  const Napi::Value function = functions_.Get(name);
  function.As<Napi::Function>().MakeCallback(env.Global(), {list}, context_);
}

void GateEvents::init_exited(const std::vector<Slot>& slots) {
  call("onInitExit", slots.size(), [&](uint32_t i) { return static_cast<double>(slots[i]); });
}

// [ticket, descriptor, start ticks, ticket, ...]
void GateEvents::held(const std::vector<const PendingCaller*>& callers) {
  constexpr uint32_t kNumbers = 3;
  call("onHeld", callers.size() * kNumbers, [&](uint32_t i) {
    const PendingCaller& waiting = *callers[i / kNumbers];
    if (i % kNumbers == 0) return static_cast<double>(waiting.ticket);
    if (i % kNumbers == 1) return static_cast<double>(waiting.fd.get());
    return static_cast<double>(waiting.caller.start_ticks);
  });
}

void GateEvents::let_go(const std::vector<Ticket>& tickets) {
  call("onLetGo", tickets.size(), [&](uint32_t i) { return static_cast<double>(tickets[i]); });
}

}  // namespace devlxd
