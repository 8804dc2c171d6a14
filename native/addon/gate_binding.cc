// The class Gate of the addon; src/gate/gate.ts documents its methods.
#include <napi.h>
#include <sys/socket.h>

#include <memory>

#include "addon/bindings.h"
#include "addon/caller_code.h"
#include "addon/gate_events.h"
#include "addon/gate_measures.h"
#include "addon/registration.h"
#include "addon/uws_object.h"
#include "addon/values.h"
#include "gate/gate.h"

namespace devlxd {
namespace {

class GateWrap : public Napi::ObjectWrap<GateWrap> {
 public:
  static Napi::Function constructor(Napi::Env env) {
    return DefineClass(env, "Gate",
                       {InstanceMethod<&GateWrap::attach>("attach"),
                        InstanceMethod<&GateWrap::set_limits>("setLimits"),
                        InstanceMethod<&GateWrap::listen>("listen"),
                        InstanceMethod<&GateWrap::stop_listening>("stopListening"),
                        InstanceMethod<&GateWrap::add>("register"),
                        InstanceMethod<&GateWrap::activate>("activate"),
                        InstanceMethod<&GateWrap::remove>("unregister"),
                        InstanceMethod<&GateWrap::begin_request>("beginRequest"),
                        InstanceMethod<&GateWrap::credentials_of>("credentialsOf"),
                        InstanceMethod<&GateWrap::response_given>("responseGiven"),
                        InstanceMethod<&GateWrap::forget_responses>("forgetResponses"),
                        InstanceMethod<&GateWrap::detach>("detach"),
                        InstanceMethod<&GateWrap::take>("take"),
                        InstanceMethod<&GateWrap::watch_frames>("watchFrames"),
                        InstanceMethod<&GateWrap::forget_frames>("forgetFrames"),
                        InstanceMethod<&GateWrap::charge>("charge"),
                        InstanceMethod<&GateWrap::release>("release"),
                        InstanceMethod<&GateWrap::close_idle>("closeIdle"),
                        InstanceMethod<&GateWrap::take_for_handover>("takeForHandover"),
                        InstanceMethod<&GateWrap::admit>("admit"),
                        InstanceMethod<&GateWrap::readmit>("readmit"),
                        InstanceMethod<&GateWrap::admit_self_test>("admitSelfTest"),
                        InstanceMethod<&GateWrap::set_serves_nested>("setServesNested"),
                        InstanceMethod<&GateWrap::set_serves_nonroot>("setServesNonroot"),
                        InstanceMethod<&GateWrap::counters>("counters"),
                        InstanceMethod<&GateWrap::counters_of>("countersOf"),
                        InstanceMethod<&GateWrap::hits_of>("hitsOf"),
                        InstanceMethod<&GateWrap::measures>("measures"),
                        InstanceMethod<&GateWrap::take_longest_turn>("takeLongestTurn"),
                        InstanceMethod<&GateWrap::take_slots_with_hits>("takeSlotsWithHits")});
  }

  // new Gate(identity method number, limit numbers, response cache bytes, functions of GateEvents)
  explicit GateWrap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<GateWrap>(info), events_(info[3].As<Napi::Object>()) {
    const auto method = static_cast<IdentityMethod>(info[0].As<Napi::Number>().Int32Value());
    gate_ =
        std::make_unique<Gate>(loop_of(info.Env()), method, limits_in(info, 1), events_.events());
  }

 private:
  Napi::Value attach(const Napi::CallbackInfo& info) {
    void* const token = pointer_of_external(info[0]);
    if (token == nullptr) return Napi::String::New(info.Env(), "listen token of listen_unix");
    const std::string binary = info[1].As<Napi::String>();
    const std::string failed = gate_->bridge().open(token, binary.c_str());
    return Napi::String::New(info.Env(), failed);
  }

  // numbers: one for each of limitNames, in that order
  static GateLimits limits_in(const Napi::CallbackInfo& info, size_t numbers) {
    const auto given = info[numbers].As<Napi::Uint32Array>();
    GateLimits limits;
    for (size_t i = 0; i < kLimits; i++) limits.numbers.at_index(i) = given[i];
    limits.response_cache_bytes = info[numbers + 1].As<Napi::Number>().Uint32Value();
    return limits;
  }

  void set_limits(const Napi::CallbackInfo& info) { gate_->set_limits(limits_in(info, 0)); }

  Napi::Value listen(const Napi::CallbackInfo& info) {
    return failure_of(info.Env(), gate_->listen(OwnFd(fd_in(info, 0))));
  }

  void stop_listening(const Napi::CallbackInfo&) { gate_->stop_listening(); }

  // (pid), or (pid, CID or 0) of a virtual machine
  Napi::Value add(const Napi::CallbackInfo& info) {
    const int pid = fd_in(info, 0);
    if (info[1].IsUndefined()) return registration_of(info.Env(), gate_->add(pid));
    const uint32_t cid = info[1].As<Napi::Number>().Uint32Value();
    return registration_of(info.Env(), gate_->add_vm(pid, cid));
  }

  void activate(const Napi::CallbackInfo& info) {
    gate_->activate(info[0].As<Napi::Number>().Uint32Value());
  }

  void remove(const Napi::CallbackInfo& info) {
    gate_->remove(info[0].As<Napi::Number>().Uint32Value());
  }

  // The Connection behind an HttpResponse: internal field 0 of that object is its us_socket_t.
  // uWebSockets.js sets it to null when the response has ended or was aborted.
  Connection* connection_in(const Napi::CallbackInfo& info) {
    return gate_->bridge().connection_of(pointer_in_object(info[0]));
  }

  Napi::Value begin_request(const Napi::CallbackInfo& info) {
    const Connection* connection = connection_in(info);
    if (connection == nullptr) return Napi::Number::New(info.Env(), kCodeNoConnection);
    gate_->charge_request(connection->caller);
    return Napi::Number::New(info.Env(), code_of(connection->caller, connection->version));
  }

  Napi::Value credentials_of(const Napi::CallbackInfo& info) {
    const Connection* connection = connection_in(info);
    if (connection == nullptr) return info.Env().Undefined();
    Napi::Object result = Napi::Object::New(info.Env());
    result["pid"] = connection->caller.pid;
    result["uid"] = connection->caller.uid;
    result["gid"] = connection->caller.gid;
    if (connection->caller.cid != kNoCid) result["cid"] = connection->caller.cid;
    return result;
  }

  // (response), or (response, head, body, its RequestKind) when the response may be cached
  void response_given(const Napi::CallbackInfo& info) {
    Connection* connection = connection_in(info);
    if (connection == nullptr) return;
    gate_->response_given(*connection);
    if (info.Length() < 4 || !gate_->may_cache(*connection)) return;
    const std::string head = info[1].As<Napi::String>();
    const std::string body = info[2].As<Napi::String>();
    const RequestKind kind = info[3].As<Napi::Number>().Uint32Value();
    gate_->cache_response(*connection, {head, body, kind});
  }

  void forget_responses(const Napi::CallbackInfo& info) {
    gate_->forget_responses(info[0].As<Napi::Number>().Uint32Value());
  }

  // The number of its descriptor, which uWebSockets still owns; -1: it was not detached.
  Napi::Value detach(const Napi::CallbackInfo& info) {
    Connection* connection = connection_in(info);
    const bool owned = connection != nullptr && !connection->is_detached();
    const int fd = owned ? gate_->bridge().fd_of(*connection) : -1;
    if (owned) gate_->detach(*connection);
    return Napi::Number::New(info.Env(), fd);
  }

  // A copy of the connection's descriptor, which JavaScript owns. The caller closes the
  // HttpResponse next, which closes uSockets' descriptor and leaves the connection itself open.
  Napi::Value take(const Napi::CallbackInfo& info) {
    Connection* connection = connection_in(info);
    if (connection == nullptr || connection->is_detached())
      return Napi::Number::New(info.Env(), -1);
    OwnFd copy = OwnFd::duplicate(gate_->bridge().fd_of(*connection));
    if (copy.valid()) gate_->detach(*connection);
    return Napi::Number::New(info.Env(), copy.release());
  }

  void charge(const Napi::CallbackInfo& info) {
    const Payer payer = info[0].As<Napi::Number>().Uint32Value();
    gate_->charge(payer, info[1].As<Napi::Number>().DoubleValue());
  }

  // (WebSocket, slot)
  void watch_frames(const Napi::CallbackInfo& info) {
    gate_->watch_frames(pointer_in_object(info[0]), info[1].As<Napi::Number>().Uint32Value());
  }

  void forget_frames(const Napi::CallbackInfo& info) { gate_->forget_frames(fd_in(info, 0)); }

  void release(const Napi::CallbackInfo& info) {
    gate_->discharge(info[0].As<Napi::Number>().Uint32Value());
  }

  void close_idle(const Napi::CallbackInfo&) { gate_->close_idle(); }

  // [fd, slot, is root, start ticks, ticket, part, fd, slot, ...]
  Napi::Value take_for_handover(const Napi::CallbackInfo& info) {
    std::vector<HandoverConnection> kept = gate_->take_for_handover();
    Napi::Array result = Napi::Array::New(info.Env(), kept.size() * 6);
    uint32_t at = 0;
    for (HandoverConnection& parting : kept) {
      result[at++] = parting.fd.release();
      result[at++] = parting.slot == kNoSlot ? -1 : static_cast<double>(parting.slot);
      result[at++] = parting.root ? 1 : 0;
      result[at++] = static_cast<double>(parting.start_ticks);
      result[at++] = static_cast<double>(parting.ticket);
      result[at++] = parting.part.release();
    }
    return result;
  }

  void admit(const Napi::CallbackInfo& info) {
    const auto start_ticks = info[1].As<Napi::Number>().Int64Value();
    const auto ticket = info[2].As<Napi::Number>().Int64Value();
    gate_->admit(OwnFd(fd_in(info, 0)), static_cast<uint64_t>(start_ticks),
                 static_cast<Ticket>(ticket));
  }

  Napi::Value readmit(const Napi::CallbackInfo& info) {
    const auto slot = info[1].As<Napi::Number>().Uint32Value();
    const bool root = info[2].As<Napi::Boolean>();
    OwnFd part(fd_in(info, 3));
    return Napi::Boolean::New(info.Env(),
                              gate_->readmit(OwnFd(fd_in(info, 0)), slot, root, std::move(part)));
  }

  // A socketpair of which uSockets serves one end, for a caller with the given pid; gives the
  // other.
  Napi::Value admit_self_test(const Napi::CallbackInfo& info) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
      return Napi::Number::New(info.Env(), -1);
    }
    OwnFd ours(pair[0]);
    OwnFd theirs(pair[1]);
    Caller caller;
    caller.pid = fd_in(info, 0);
    const bool admitted = gate_->admit_as(std::move(ours), std::move(caller)) != nullptr;
    return Napi::Number::New(info.Env(), admitted ? theirs.release() : -1);
  }

  Napi::Value counters(const Napi::CallbackInfo& info) {
    return counters_object(info.Env(), *gate_);
  }

  Napi::Value counters_of(const Napi::CallbackInfo& info) {
    return counters_object(info.Env(), instance_in(info));
  }

  Napi::Value hits_of(const Napi::CallbackInfo& info) {
    return hits_array(info.Env(), instance_in(info).hits);
  }

  Napi::Value measures(const Napi::CallbackInfo& info) {
    return measures_object(info.Env(), *gate_);
  }

  Napi::Value take_longest_turn(const Napi::CallbackInfo& info) {
    constexpr double kNanosecondsPerSecond = 1e9;
    const auto longest = static_cast<double>(gate_->take_longest_turn());
    return Napi::Number::New(info.Env(), longest / kNanosecondsPerSecond);
  }

  const Instance& instance_in(const Napi::CallbackInfo& info) {
    return *gate_->instance(info[0].As<Napi::Number>().Uint32Value());
  }

  void set_serves_nested(const Napi::CallbackInfo& info) {
    const bool serves = info[1].As<Napi::Boolean>();
    gate_->set_serves_nested(info[0].As<Napi::Number>().Uint32Value(), serves);
  }

  void set_serves_nonroot(const Napi::CallbackInfo& info) {
    const bool serves = info[1].As<Napi::Boolean>();
    gate_->set_serves_nonroot(info[0].As<Napi::Number>().Uint32Value(), serves);
  }

  Napi::Value take_slots_with_hits(const Napi::CallbackInfo& info) {
    return list_of(info.Env(), gate_->take_slots_with_hits());
  }

  static Napi::Array list_of(const Napi::Env& env, const std::vector<Slot>& slots) {
    Napi::Array list = Napi::Array::New(env, slots.size());
    for (size_t i = 0; i < slots.size(); i++) list.Set(i, Napi::Number::New(env, slots[i]));
    return list;
  }

  GateEvents events_;
  std::unique_ptr<Gate> gate_;
};

}  // namespace

Napi::Value gate_class(Napi::Env env) { return GateWrap::constructor(env); }

}  // namespace devlxd
