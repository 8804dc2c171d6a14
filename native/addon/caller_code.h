#ifndef DEVLXD_ADDON_CALLER_CODE_H_
#define DEVLXD_ADDON_CALLER_CODE_H_

#include <cstdint>

#include "identity/caller.h"
#include "uws/connection.h"

namespace devlxd {

// A caller without an instance.
constexpr int kCodeUnregistered = -1;
constexpr int kCodeUnidentified = -2;
constexpr int kCodeNoConnection = -3;  // the response has ended, or belongs to another app

// What JavaScript calls a Caller: for one of an instance the bits of slot, HttpVersion (two), is
// root.
inline int code_of(const Caller& caller, HttpVersion version) {
  if (caller.kind == CallerKind::kUnregistered) return kCodeUnregistered;
  if (caller.kind == CallerKind::kUnidentified) return kCodeUnidentified;
  return static_cast<int>(caller.slot << 3 | static_cast<uint32_t>(version) << 1 |
                          (caller.root ? 1 : 0));
}

}  // namespace devlxd

#endif  // DEVLXD_ADDON_CALLER_CODE_H_
