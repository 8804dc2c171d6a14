#ifndef DEVLXD_ADDON_VALUES_H_
#define DEVLXD_ADDON_VALUES_H_

#include <napi.h>
#include <uv.h>

#include "os/kernel.h"

namespace devlxd {

inline uv_loop_t* loop_of(napi_env env) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  return loop;
}

inline Napi::Value failure_of(Napi::Env env, const Failure& failure) {
  Napi::Object result = Napi::Object::New(env);
  result["call"] = failure.call;
  result["errno"] = failure.code;
  return result;
}

inline int fd_in(const Napi::CallbackInfo& info, size_t index) {
  return info[index].As<Napi::Number>().Int32Value();
}

}  // namespace devlxd

#endif  // DEVLXD_ADDON_VALUES_H_
