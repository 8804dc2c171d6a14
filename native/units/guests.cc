// One translation unit: most of the time of compiling these goes to the headers that they share
// (docs/architecture.md).
#include "tools/guests/guests.cc"

#include "tools/guests/connect.cc"
#include "tools/guests/message.cc"
#include "tools/guests/run.cc"
#include "tools/guests/serve.cc"
#include "tools/guests/spawn.cc"
