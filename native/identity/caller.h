#ifndef DEVLXD_IDENTITY_CALLER_H_
#define DEVLXD_IDENTITY_CALLER_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "identity/accept_clock.h"
#include "identity/instance_table.h"
#include "identity/namespace_cache.h"
#include "identity/pid_namespace.h"
#include "os/vsock.h"

namespace devlxd {

// The caller is identified once, when the connection is accepted.
enum class CallerKind {
  kInstance,      // in a running instance, named by slot
  kUnregistered,  // of a pid namespace or context id that is not registered, or not yet
  kUnidentified,  // in the host's own pid namespace, or the kernel cannot tell
};

// The pid namespaces around an unregistered caller, innermost first. The open one pins all others.
struct NamespaceChain {
  OwnFd innermost;
  std::vector<uint64_t> ids;
};

// The caller of a connection.
struct Caller {
  CallerKind kind = CallerKind::kUnidentified;
  Slot slot = kNoSlot;
  pid_t pid = 0;  // in the daemon's pid namespace, when it called connect(2)
  uid_t uid = 0;
  gid_t gid = 0;
  uint64_t start_ticks = 0;               // of that process; IdentityMethod::kProcfs only
  uint32_t cid = kNoCid;                  // of a virtual machine that is known by it, not by a pid
  bool privileged_port = false;           // with a CID: only its root can have bound the port
  bool root = false;                      // uid 0 of the instance
  std::unique_ptr<NamespaceChain> chain;  // of an unregistered caller without a CID, while it may
                                          // be registered
  uint64_t owner = 0;                     // of an unregistered caller: namespace_owner(), or a CID
};

// An owner that is a virtual machine, by its CID.
constexpr uint64_t kOwnerIsCid = uint64_t{1} << 62;

// On IdentityMethod::kProcfs: proves that the process with the caller's pid is the caller.
struct PeerProof {
  const AcceptClock& clock;
  uint64_t start_ticks = 0;  // as the process that accepted the connection read it; or 0
};

// Asks the kernel for the process at the other end of fd, and the table for its instance.
Caller identify(int fd, IdentityMethod method, const InstanceTable& instances,
                const PeerProof& proof, NamespaceCache& known);

// The instance of an unregistered caller, if it is registered now; else kNoSlot. fd: its connection
Slot instance_of(int fd, const Caller& caller, IdentityMethod method,
                 const InstanceTable& instances);

// Makes the caller one of the instance in slot; closes its chain.
void assign_instance(Caller& caller, Slot slot, const InstanceTable& instances);

}  // namespace devlxd

#endif  // DEVLXD_IDENTITY_CALLER_H_
