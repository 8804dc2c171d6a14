#ifndef DEVLXD_ADDON_GATE_EVENTS_H_
#define DEVLXD_ADDON_GATE_EVENTS_H_

#include <napi.h>

#include <optional>
#include <string_view>
#include <vector>

#include "gate/gate.h"

namespace devlxd {

// What a gate tells JavaScript: the functions of GateEvents in src/gate/gate.ts.
class GateEvents {
 public:
  explicit GateEvents(const Napi::Object& functions);

  // They are called on the event loop's thread.
  Gate::Events events();

 private:
  void init_exited(const std::vector<Slot>& slots);
  void held(const std::vector<const PendingCaller*>& callers);
  void let_go(const std::vector<Ticket>& tickets);
  std::optional<Response> answer(const Caller& caller, std::string_view target);
  template <typename Fill>
  void call(const char* name, size_t length, Fill fill);

  Napi::AsyncContext context_;
  Napi::ObjectReference functions_;
  Napi::FunctionReference answer_;
  Napi::Reference<Napi::Uint32Array> kinds_;
  const uint32_t* kind_;             // of what answer_ gave last; in kinds_
  char response_[kLongestResponse];  // what answer_ gave last
};

}  // namespace devlxd

#endif  // DEVLXD_ADDON_GATE_EVENTS_H_
