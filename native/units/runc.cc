// One translation unit: most of the time of compiling these goes to the headers that they share
// (docs/architecture.md).
#include "hook/runc.cc"

#include "hook/bundle.cc"
#include "hook/json.cc"
#include "hook/runc_arguments.cc"
