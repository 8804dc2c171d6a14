#ifndef DEVLXD_ADDON_REGISTRATION_H_
#define DEVLXD_ADDON_REGISTRATION_H_

#include <napi.h>

#include <string>

#include "identity/instance_table.h"

namespace devlxd {

// In the order of RegisterOutcome.
constexpr const char* kOutcomeNames[] = {"registered", "gone",    "own-namespace", "own-process",
                                         "not-init",   "no-root", "taken",         "cid-taken",
                                         "denied",     "failed"};

// NativeRegistration of src/gate/addon.ts
inline Napi::Value registration_of(const Napi::Env& env, const Registration& made) {
  Napi::Object result = Napi::Object::New(env);
  result["outcome"] = kOutcomeNames[static_cast<int>(made.outcome)];
  result["call"] = made.failure.call;
  result["errno"] = made.failure.code;
  result["slot"] = made.slot;
  result["namespace"] = std::to_string(made.namespace_id);
  result["rootUid"] = made.root_uid;
  result["startTicks"] = static_cast<double>(made.start_ticks);
  return result;
}

}  // namespace devlxd

#endif  // DEVLXD_ADDON_REGISTRATION_H_
