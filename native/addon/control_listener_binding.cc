#include <napi.h>

#include <utility>

#include "accept/listener.h"
#include "addon/bindings.h"
#include "addon/values.h"
#include "os/peer_credentials.h"

namespace devlxd {
namespace {

// Accepts connections of the control socket and gives each to JavaScript: onConnection(fd, pid,
// uid, gid).
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
        context_(info.Env(), "devlxd:control"),
        on_connection_(Napi::Persistent(info[0].As<Napi::Function>())),
        listener_(loop_of(info.Env()), [this](OwnFd fd) { accepted(std::move(fd)); }, [] {}) {}

 private:
  Napi::Value listen(const Napi::CallbackInfo& info) {
    return failure_of(info.Env(), listener_.start(OwnFd(fd_in(info, 0))));
  }

  void admit(const Napi::CallbackInfo& info) { accepted(OwnFd(fd_in(info, 0))); }

  void stop(const Napi::CallbackInfo&) { listener_.stop(); }

  void accepted(OwnFd fd) {
    const auto peer = peer_credentials(fd.get());
    if (!peer) return;
    const Napi::Env env = Env();
    const Napi::HandleScope scope(env);
    const auto number = [env](double value) { return Napi::Number::New(env, value); };
    on_connection_.MakeCallback(
        env.Global(),
        {number(fd.release()), number(peer->pid), number(peer->uid), number(peer->gid)}, context_);
  }

  Napi::AsyncContext context_;
  Napi::FunctionReference on_connection_;
  Listener listener_;
};

}  // namespace

Napi::Value control_listener_class(Napi::Env env) { return ControlListenerWrap::constructor(env); }

}  // namespace devlxd
