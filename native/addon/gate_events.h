#ifndef DEVLXD_ADDON_GATE_EVENTS_H_
#define DEVLXD_ADDON_GATE_EVENTS_H_

#include <napi.h>

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
  template <typename Fill>
  void call(const char* name, size_t length, Fill fill);

  Napi::AsyncContext context_;
  Napi::ObjectReference functions_;
};

}  // namespace devlxd

#endif  // DEVLXD_ADDON_GATE_EVENTS_H_
