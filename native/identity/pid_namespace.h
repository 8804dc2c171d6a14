#ifndef DEVLXD_IDENTITY_PID_NAMESPACE_H_
#define DEVLXD_IDENTITY_PID_NAMESPACE_H_

#include <sys/types.h>

#include <cstdint>

#include "os/kernel.h"
#include "os/own_fd.h"

namespace devlxd {

// How this kernel lets us find a caller's pid namespace. The first is free of races by
// construction, the second because a pidfd proves that the pid number still meant the caller, the
// third has the caller only as a number (see accept_clock.h).
enum class IdentityMethod {
  kPidfdIoctl,  // Linux 6.11: SO_PEERPIDFD + PIDFD_GET_PID_NAMESPACE
  kPeerPidfd,   // Linux 6.5: SO_PEERPIDFD + /proc/PID/ns/pid
  kProcfs,      // older: SO_PEERCRED + pidfd_open + /proc/PID/ns/pid
};

// What the running kernel offers, found by trying it on ourselves.
IdentityMethod best_identity_method();

// A pid namespace held open: while it is, its id is not given to another one.
struct PidNamespace {
  OwnFd fd;
  uint64_t id = 0;
};

// Why there is no namespace.
enum class NamespaceOutcome {
  kOpened,
  kGone,    // the process was reaped
  kDenied,  // we may not inspect processes of its user
  kFailed,  // anything else, in Failure
};

// Opens the pid namespace in which the process of pidfd lives. pid is its number here, used only
// where the kernel has no ioctl for it, and for zombies, for which the ioctl answers ESRCH.
NamespaceOutcome open_pid_namespace(IdentityMethod method, int pidfd, pid_t pid,
                                    PidNamespace& result, Failure& failure);

// The id of an open namespace: NS_GET_ID where there is one (64 bits, never reused), else the inode
// number (unique as long as the namespace is held). 0 on failure.
uint64_t namespace_id(int fd);

// The namespace around this one; false at our own, which ends every climb (EPERM, ioctl_ns(2)).
bool open_parent(const PidNamespace& inner, PidNamespace& outer);

// The id of the pid namespace in which the daemon itself runs.
uint64_t own_namespace_id();

}  // namespace devlxd

#endif  // DEVLXD_IDENTITY_PID_NAMESPACE_H_
