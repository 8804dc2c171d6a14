// One translation unit: most of the time of compiling these goes to the headers that they share
// (docs/architecture.md).
#include "../floor.cc"

#include "../canned_server.cc"
#include "../doorman.cc"
#include "../sockets.cc"
#include "../websocket.cc"
