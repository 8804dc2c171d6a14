#ifndef DEVLXD_ADDON_GATE_MEASURES_H_
#define DEVLXD_ADDON_GATE_MEASURES_H_

#include <napi.h>

#include "gate/gate.h"

namespace devlxd {

// The objects that src/gate/addon.ts describes as GateCounters, InstanceCounters and GateMeasures.
Napi::Object counters_object(Napi::Env env, const Gate& gate);
Napi::Object counters_object(Napi::Env env, const Instance& instance);
Napi::Object measures_object(Napi::Env env, const Gate& gate);

// One number for each limit.
Napi::Array hits_array(Napi::Env env, const LimitHits& hits);

}  // namespace devlxd

#endif  // DEVLXD_ADDON_GATE_MEASURES_H_
