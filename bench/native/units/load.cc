// One translation unit: most of the time of compiling these goes to the headers that they share
// (docs/architecture.md).
#include "../load.cc"

#include "../answer_parser.cc"
#include "../histogram.cc"
#include "../holder.cc"
#include "../known_answer.cc"
#include "../load_options.cc"
#include "../request_load.cc"
#include "../sockets.cc"
#include "../tally.cc"
#include "../websocket.cc"
