// One translation unit: most of the time of compiling these goes to the headers that they share
// (docs/architecture.md).
// What a request passes is apart: in a larger unit GCC inlines less of it.
#include "gate/rate_limiter.cc"
#include "gate/request_body.cc"
#include "gate/request_head.cc"
#include "gate/request_reader.cc"
#include "gate/response_cache.cc"
#include "uws/bridge.cc"
#include "uws/connection.cc"
