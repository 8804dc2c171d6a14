#include "identity/pid_namespace.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

namespace devlxd {
namespace {

bool kernel_has_namespace_ids() {
  static const bool has = [] {
    OwnFd own(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
    uint64_t id = 0;
    return own.valid() && ioctl(own.get(), kNsGetId, &id) == 0;
  }();
  return has;
}

NamespaceOutcome outcome_of(const char* call, int code, Failure& failure) {
  if (code == ESRCH || code == ENOENT) return NamespaceOutcome::kGone;
  if (code == EACCES || code == EPERM) return NamespaceOutcome::kDenied;
  failure = {call, code};
  return NamespaceOutcome::kFailed;
}

// The pidfd is asked after the file is open: not reaped then means that the number belonged to the
// same process the whole time.
NamespaceOutcome open_by_number(int pidfd, pid_t pid, OwnFd& fd, Failure& failure) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
  fd = OwnFd(open(path, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return outcome_of("open /proc/PID/ns/pid", errno, failure);
  if (not_reaped(pidfd)) return NamespaceOutcome::kOpened;
  fd.reset();
  return NamespaceOutcome::kGone;
}

NamespaceOutcome open_by_ioctl(int pidfd, pid_t pid, OwnFd& fd, Failure& failure) {
  fd = OwnFd(ioctl(pidfd, kPidfdGetPidNamespace, 0));
  if (fd.valid()) return NamespaceOutcome::kOpened;
  // A zombie has lost its namespaces for the ioctl, but not for /proc.
  if (errno == ESRCH) return open_by_number(pidfd, pid, fd, failure);
  return outcome_of("PIDFD_GET_PID_NAMESPACE", errno, failure);
}

}  // namespace

IdentityMethod best_identity_method() {
  OwnFd self(pidfd_open(getpid()));
  if (OwnFd(ioctl(self.get(), kPidfdGetPidNamespace, 0)).valid())
    return IdentityMethod::kPidfdIoctl;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return IdentityMethod::kProcfs;
  OwnFd one(pair[0]);
  OwnFd other(pair[1]);
  int pidfd = -1;
  socklen_t size = sizeof pidfd;
  if (getsockopt(one.get(), SOL_SOCKET, kSoPeerPidfd, &pidfd, &size) != 0) {
    return IdentityMethod::kProcfs;
  }
  OwnFd peer(pidfd);
  return IdentityMethod::kPeerPidfd;
}

NamespaceOutcome open_pid_namespace(IdentityMethod method, int pidfd, pid_t pid,
                                    PidNamespace& result, Failure& failure) {
  const NamespaceOutcome outcome = method == IdentityMethod::kPidfdIoctl
                                       ? open_by_ioctl(pidfd, pid, result.fd, failure)
                                       : open_by_number(pidfd, pid, result.fd, failure);
  if (outcome != NamespaceOutcome::kOpened) return outcome;
  result.id = namespace_id(result.fd.get());
  if (result.id != 0) return outcome;
  failure = {"namespace id", errno};
  return NamespaceOutcome::kFailed;
}

uint64_t namespace_id(int fd) {
  if (kernel_has_namespace_ids()) {
    uint64_t id = 0;
    return ioctl(fd, kNsGetId, &id) == 0 ? id : 0;
  }
  struct stat status;
  return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

bool open_parent(const PidNamespace& inner, PidNamespace& outer) {
  outer.fd = OwnFd(ioctl(inner.fd.get(), kNsGetParent, 0));
  if (!outer.fd.valid()) return false;
  outer.id = namespace_id(outer.fd.get());
  return outer.id != 0;
}

uint64_t own_namespace_id() {
  static const uint64_t id = [] {
    OwnFd own(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
    return own.valid() ? namespace_id(own.get()) : 0;
  }();
  return id;
}

}  // namespace devlxd
