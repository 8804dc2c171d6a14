// One translation unit: most of the time of compiling these goes to the headers that they share
// (docs/architecture.md).
#include "gate/gate.cc"

#include "gate/admission.cc"
#include "gate/handover.cc"
#include "gate/pending_callers.cc"
#include "gate/throttled_connections.cc"
#include "gate/websocket_frames.cc"
