// One translation unit: most of the time of compiling these goes to the headers that they share
// (docs/architecture.md).
#include "../guests.cc"

#include "../answer_parser.cc"
#include "../crowd.cc"
#include "../histogram.cc"
#include "../holder.cc"
#include "../known_answer.cc"
#include "../load_options.cc"
#include "../sockets.cc"
#include "../tally.cc"
#include "../visit.cc"
#include "../websocket.cc"
#include "tools/guests/message.cc"
#include "tools/guests/spawn.cc"
