// One translation unit: most of the time of compiling these goes to the headers that they share
// (docs/architecture.md).
#include "os/memory_file.cc"
#include "os/send_file.cc"
#include "os/tcp_socket.cc"
#include "os/unix_socket.cc"
#include "os/vsock.cc"
