// One translation unit: most of the time of compiling these goes to the headers that they share
// (docs/architecture.md).
#include "hook/hook.cc"

#include "hook/answer.cc"
#include "hook/bundle.cc"
#include "hook/exchange.cc"
#include "hook/json.cc"
#include "hook/patience.cc"
#include "hook/request.cc"
