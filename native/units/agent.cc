// One translation unit: most of the time of compiling these goes to the headers that they share
// (docs/architecture.md).
#include "agent/agent.cc"

#include "agent/host_address.cc"
#include "agent/relay.cc"
#include "os/unix_socket.cc"
