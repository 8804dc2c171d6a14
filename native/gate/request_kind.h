#ifndef DEVLXD_GATE_REQUEST_KIND_H_
#define DEVLXD_GATE_REQUEST_KIND_H_

#include <cstdint>

namespace devlxd {

// JavaScript's number for the endpoint and status of a response.
using RequestKind = uint32_t;

}  // namespace devlxd

#endif  // DEVLXD_GATE_REQUEST_KIND_H_
