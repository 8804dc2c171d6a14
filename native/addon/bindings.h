#ifndef DEVLXD_ADDON_BINDINGS_H_
#define DEVLXD_ADDON_BINDINGS_H_

#include <napi.h>

namespace devlxd {

// gate_binding.cc
Napi::Value gate_class(Napi::Env env);

// control_listener_binding.cc
Napi::Value control_listener_class(Napi::Env env);

// unix_socket_binding.cc
Napi::Value listen_unix_js(const Napi::CallbackInfo& info);
Napi::Value listen_tcp_js(const Napi::CallbackInfo& info);
Napi::Value listen_vsock_js(const Napi::CallbackInfo& info);
Napi::Value vsock_port_js(const Napi::CallbackInfo& info);
Napi::Value duplicate_js(const Napi::CallbackInfo& info);
Napi::Value listens_js(const Napi::CallbackInfo& info);
Napi::Value is_connection_js(const Napi::CallbackInfo& info);
Napi::Value stop_reading_js(const Napi::CallbackInfo& info);
Napi::Value connect_unix_js(const Napi::CallbackInfo& info);
Napi::Value send_message_js(const Napi::CallbackInfo& info);
Napi::Value receive_message_js(const Napi::CallbackInfo& info);
Napi::Value notify_manager_js(const Napi::CallbackInfo& info);

// send_file_binding.cc
Napi::Value send_file_js(const Napi::CallbackInfo& info);

}  // namespace devlxd

#endif  // DEVLXD_ADDON_BINDINGS_H_
