#include "addon/uws_object.h"

#include <node_version.h>
#include <v8.h>

#include <cstring>

namespace devlxd {
namespace {

// Node-API's values are V8's handles (Node's own js_native_api_v8.h).
v8::Local<v8::Value> v8_of(const Napi::Value& value) {
  napi_value raw = value;
  v8::Local<v8::Value> local;
  static_assert(sizeof local == sizeof raw);
  memcpy(static_cast<void*>(&local), &raw, sizeof raw);
  return local;
}

}  // namespace

void* pointer_of_external(const Napi::Value& value) {
  const auto external = v8_of(value);
  return external->IsExternal() ? external.As<v8::External>()->Value() : nullptr;
}

void* pointer_in_object(const Napi::Value& value) {
  const auto found = v8_of(value);
  if (!found->IsObject()) return nullptr;
  const auto object = found.As<v8::Object>();
  if (object->InternalFieldCount() < 1) return nullptr;
#if NODE_MODULE_VERSION > 141  // Node 26's V8 asks what kind of pointer it is
  return object->GetAlignedPointerFromInternalField(0, v8::kEmbedderDataTypeTagDefault);
#else
  return object->GetAlignedPointerFromInternalField(0);
#endif
}

}  // namespace devlxd
