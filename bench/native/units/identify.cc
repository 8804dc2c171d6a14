// One translation unit: most of the time of compiling these goes to the headers that they share
// (docs/architecture.md).
#include "../identify.cc"

#include "../sockets.cc"
#include "identity/accept_clock.cc"
#include "identity/caller.cc"
#include "identity/instance_table.cc"
#include "identity/namespace_cache.cc"
#include "identity/namespace_owner.cc"
#include "identity/pid_namespace.cc"
#include "identity/procfs.cc"
#include "os/vsock.cc"
#include "tools/guests/connect.cc"
#include "tools/guests/message.cc"
#include "tools/guests/spawn.cc"
