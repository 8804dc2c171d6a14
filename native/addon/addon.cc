// The members of the addon. src/gate/ loads it, checks the types of the arguments and documents
// every member. Outcomes and errno values are returned as they are; JavaScript makes the sentences.
#include <napi.h>
#include <node_version.h>

#include <iterator>

#include "addon/bindings.h"
#include "gate/limits.h"
#include "identity/pid_namespace.h"

namespace devlxd {
namespace {

constexpr const char* kMethodNames[] = {"pidfd-ioctl", "peer-pidfd", "procfs"};

Napi::Array names_of(Napi::Env env, const char* const* names, size_t count) {
  Napi::Array list = Napi::Array::New(env, count);
  for (uint32_t i = 0; i < count; i++) list[i] = names[i];
  return list;
}

Napi::Value best_identity_method_js(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<int>(best_identity_method()));
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports["nodeAbi"] = NODE_MODULE_VERSION;
  exports["identityMethods"] = names_of(env, kMethodNames, std::size(kMethodNames));
  exports["limitNames"] = names_of(env, kLimitNames.data(), kLimitNames.size());
  exports["bestIdentityMethod"] = Napi::Function::New(env, best_identity_method_js);
  exports["listenUnix"] = Napi::Function::New(env, listen_unix_js);
  exports["duplicate"] = Napi::Function::New(env, duplicate_js);
  exports["listenTcp"] = Napi::Function::New(env, listen_tcp_js);
  exports["listenVsock"] = Napi::Function::New(env, listen_vsock_js);
  exports["vsockPort"] = Napi::Function::New(env, vsock_port_js);
  exports["listens"] = Napi::Function::New(env, listens_js);
  exports["isConnection"] = Napi::Function::New(env, is_connection_js);
  exports["stopReading"] = Napi::Function::New(env, stop_reading_js);
  exports["connectUnix"] = Napi::Function::New(env, connect_unix_js);
  exports["sendMessage"] = Napi::Function::New(env, send_message_js);
  exports["receiveMessage"] = Napi::Function::New(env, receive_message_js);
  exports["notifyManager"] = Napi::Function::New(env, notify_manager_js);
  exports["sendFile"] = Napi::Function::New(env, send_file_js);
  exports["Gate"] = gate_class(env);
  exports["ControlListener"] = control_listener_class(env);
  return exports;
}

}  // namespace

NODE_API_MODULE(devlxd, init)

}  // namespace devlxd
