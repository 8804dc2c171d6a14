#include "addon/gate_events.h"

#include <algorithm>

#include "addon/caller_code.h"

namespace devlxd {
namespace {

constexpr size_t kLongestCharacter = 4;  // of UTF-8

// Any other bytes are a matter of how uWebSockets.js reads them.
bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c < 0x80; });
}

}  // namespace

GateEvents::GateEvents(const Napi::Object& functions)
    : context_(functions.Env(), "devlxd:gate"),
      functions_(Napi::Persistent(functions)),
      answer_(Napi::Persistent(functions.Get("onRequest").As<Napi::Function>())),
      kinds_(Napi::Persistent(functions.Get("answerKind").As<Napi::Uint32Array>())),
      kind_(kinds_.Value().Data()) {}

Gate::Events GateEvents::events() {
  return {.init_exited = [this](const std::vector<Slot>& slots) { init_exited(slots); },
          .held = [this](const std::vector<const PendingCaller*>& callers) { held(callers); },
          .let_go = [this](const std::vector<Ticket>& tickets) { let_go(tickets); },
          .answer = [this](const Caller& caller,
                           std::string_view target) { return answer(caller, target); }};
}

// fill: gives the number at an index of the array that the function gets
template <typename Fill>
void GateEvents::call(const char* name, size_t length, Fill fill) {
  const Napi::Env env = functions_.Env();
  const Napi::HandleScope scope(env);
  Napi::Array list = Napi::Array::New(env, length);
  for (uint32_t i = 0; i < length; i++) list[i] = Napi::Number::New(env, fill(i));
  const Napi::Value function = functions_.Get(name);
  function.As<Napi::Function>().MakeCallback(env.Global(), {list}, context_);
}

void GateEvents::init_exited(const std::vector<Slot>& slots) {
  call("onInitExit", slots.size(), [&](uint32_t i) { return static_cast<double>(slots[i]); });
}

// [ticket, descriptor, start ticks, ticket, ...]
void GateEvents::held(const std::vector<const PendingCaller*>& callers) {
  constexpr uint32_t kNumbers = 3;
  call("onHeld", callers.size() * kNumbers, [&](uint32_t i) {
    const PendingCaller& waiting = *callers[i / kNumbers];
    if (i % kNumbers == 0) return static_cast<double>(waiting.ticket);
    if (i % kNumbers == 1) return static_cast<double>(waiting.fd.get());
    return static_cast<double>(waiting.caller.start_ticks);
  });
}

void GateEvents::let_go(const std::vector<Ticket>& tickets) {
  call("onLetGo", tickets.size(), [&](uint32_t i) { return static_cast<double>(tickets[i]); });
}

// A plain call, after which Node runs neither ticks nor promises: it comes with each request.
std::optional<Response> GateEvents::answer(const Caller& caller, std::string_view target) {
  if (!is_ascii(target)) return std::nullopt;
  const napi_env env = functions_.Env();
  const Napi::HandleScope scope(env);
  napi_value arguments[2];
  napi_value undefined;
  napi_value text;
  if (napi_get_undefined(env, &undefined) != napi_ok ||
      napi_create_int32(env, code_of(caller, HttpVersion::kHttp11), &arguments[0]) != napi_ok ||
      napi_create_string_latin1(env, target.data(), target.size(), &arguments[1]) != napi_ok) {
    return std::nullopt;
  }
  if (napi_call_function(env, undefined, answer_.Value(), 2, arguments, &text) != napi_ok) {
    napi_get_and_clear_last_exception(env, &text);
    return std::nullopt;
  }
  size_t length = 0;
  const napi_status read =
      napi_get_value_string_utf8(env, text, response_, sizeof response_, &length);
  const bool is_whole = length < sizeof response_ - kLongestCharacter;  // it is cut otherwise
  if (read != napi_ok || !is_whole) return std::nullopt;
  const std::string_view response(response_, length);
  const size_t end = response.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  return Response{response.substr(0, end + 2), response.substr(end + 4), *kind_};
}

}  // namespace devlxd
