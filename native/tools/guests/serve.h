#ifndef DEVLXD_TOOLS_GUESTS_SERVE_H_
#define DEVLXD_TOOLS_GUESTS_SERVE_H_

#include "tools/guests/spawn.h"

namespace devlxd::guests {

// Makes guests and has them connect, as asked for in datagrams on control (a SOCK_SEQPACKET
// socket):
//   spawn COUNT            -> ok PID...       guests are numbered from 0, in this order
//   connect N PATH [...]   -> ok PID + fd     see connect.h; PID of the process that replied
//   reap N                 -> ok PID          the guest's init reaps its dead children
//   kill N                 -> ok              the guest's init is killed and reaped
// Anything that fails: error TEXT. Ends, and ends every guest, when the other side closes control.
int serve(int control, SpawnOptions options);

}  // namespace devlxd::guests

#endif  // DEVLXD_TOOLS_GUESTS_SERVE_H_
