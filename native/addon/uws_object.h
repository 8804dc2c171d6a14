#ifndef DEVLXD_ADDON_UWS_OBJECT_H_
#define DEVLXD_ADDON_UWS_OBJECT_H_

#include <napi.h>

namespace devlxd {

// What stands behind objects of uWebSockets.js. Node-API has no way to an internal field, or to an
// External that it did not make; so these, and only these, ask V8.

// The pointer of an External; null for any other value.
void* pointer_of_external(const Napi::Value& value);

// Internal field 0 of an object: the socket of a response; null where there is none.
void* pointer_in_object(const Napi::Value& value);

}  // namespace devlxd

#endif  // DEVLXD_ADDON_UWS_OBJECT_H_
