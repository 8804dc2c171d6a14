#ifndef DEVLXD_OS_KERNEL_H_
#define DEVLXD_OS_KERNEL_H_

// Kernel interfaces that Debian 12's headers (6.1) do not name yet. Every one of them may answer
// "unsupported" at run time; namespaces.cc finds out once, at start-up.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>

namespace devlxd {

constexpr int kSoPeerPidfd = 77;          // Linux 6.5, include/uapi/asm-generic/socket.h
constexpr long kPidfsMagic = 0x50494446;  // Linux 6.9, include/uapi/linux/magic.h
constexpr unsigned long kPidfdGetPidNamespace = 0xff05;  // Linux 6.11, include/uapi/linux/pidfd.h
constexpr unsigned long kNsGetUserNamespace = 0xb701;    // Linux 4.9, include/uapi/linux/nsfs.h
constexpr unsigned long kNsGetParent = 0xb702;           // Linux 4.9, include/uapi/linux/nsfs.h
constexpr unsigned long kNsGetOwnerUid = 0xb704;         // Linux 4.11, include/uapi/linux/nsfs.h
constexpr unsigned long kNsGetId = 0x8008b70d;           // Linux 6.18, include/uapi/linux/nsfs.h

// What went wrong: the system call and its errno. code 0 means that nothing did.
struct Failure {
  const char* call = "";
  int code = 0;
  explicit operator bool() const { return code != 0; }
};

// Linux 5.3. The result polls readable when the process has exited.
inline int pidfd_open(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

// True until the process has been reaped: a zombie can still be signalled, and until it is reaped
// its pid number is not reused.
inline bool not_reaped(int pidfd) {
  return syscall(SYS_pidfd_send_signal, pidfd, 0, nullptr, 0) == 0 || errno == EPERM;
}

}  // namespace devlxd

#endif  // DEVLXD_OS_KERNEL_H_
