// One translation unit: most of the time of compiling these goes to the headers that they share
// (docs/architecture.md).
#include "addon/addon.cc"

#include "addon/control_listener_binding.cc"
#include "addon/gate_binding.cc"
#include "addon/gate_events.cc"
#include "addon/gate_measures.cc"
#include "addon/send_file_binding.cc"
#include "addon/unix_socket_binding.cc"
#include "addon/uws_object.cc"
