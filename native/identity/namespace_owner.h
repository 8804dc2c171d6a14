#ifndef DEVLXD_IDENTITY_NAMESPACE_OWNER_H_
#define DEVLXD_IDENTITY_NAMESPACE_OWNER_H_

#include <sys/types.h>

#include <cstdint>

namespace devlxd {

// What unregistered callers of these pid namespaces are counted under. An ordinary user of the host
// makes as many as they like, in user namespaces, where they also have many uids: all of that is
// one owner. Of the namespaces that root, or the daemon's own user, has made each outermost one is
// an owner: a container with everything inside it.
//
// pid_namespace: open, of the caller; outermost: the id of the one around it that lies directly in
// the daemon's own; uid: the caller's, which counts when the kernel does not tell.
uint64_t namespace_owner(int pid_namespace, uint64_t outermost, uid_t uid);

}  // namespace devlxd

#endif  // DEVLXD_IDENTITY_NAMESPACE_OWNER_H_
