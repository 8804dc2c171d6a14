#ifndef DEVLXD_ADDON_CONTROL_LISTENER_BINDING_H_
#define DEVLXD_ADDON_CONTROL_LISTENER_BINDING_H_

#include <napi.h>
#include <sys/socket.h>

#include "accept/listener.h"
#include "addon/values.h"

namespace devlxd {

// Accepts the operators' connections and hands each to JavaScript: onConnection(fd, pid, uid, gid).
class ControlListenerWrap : public Napi::ObjectWrap<ControlListenerWrap> {
 public:
  static Napi::Function constructor(Napi::Env env) {
    return DefineClass(env, "ControlListener",
                       {InstanceMethod<&ControlListenerWrap::listen>("listen"),
                        InstanceMethod<&ControlListenerWrap::admit>("admit"),
                        InstanceMethod<&ControlListenerWrap::stop>("stop")});
  }

  explicit ControlListenerWrap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<ControlListenerWrap>(info),
        context_(info.Env(), "devlxd:host"),
        on_connection_(Napi::Persistent(info[0].As<Napi::Function>())),
        listener_(loop_of(info.Env()), [this](OwnFd fd) { accepted(std::move(fd)); }, [] {}) {}

 private:
  Napi::Value listen(const Napi::CallbackInfo& info) {
    return failure_of(info.Env(), listener_.start(OwnFd(fd_in(info, 0))));
  }

  void admit(const Napi::CallbackInfo& info) { accepted(OwnFd(fd_in(info, 0))); }

  void stop(const Napi::CallbackInfo&) { listener_.stop(); }

  void accepted(OwnFd fd) {
    ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return;
    const Napi::Env env = Env();
    const Napi::HandleScope scope(env);
    const auto number = [env](double value) { return Napi::Number::New(env, value); };
    on_connection_.MakeCallback(
        env.Global(), {number(fd.release()), number(peer.pid), number(peer.uid), number(peer.gid)},
        context_);
  }

  Napi::AsyncContext context_;
  Napi::FunctionReference on_connection_;
  Listener listener_;
};

}  // namespace devlxd

#endif  // DEVLXD_ADDON_CONTROL_LISTENER_BINDING_H_
