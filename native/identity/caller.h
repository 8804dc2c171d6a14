#ifndef DEVLXD_IDENTITY_CALLER_H_
#define DEVLXD_IDENTITY_CALLER_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "identity/instance_table.h"
#include "identity/namespace_cache.h"
#include "identity/pid_namespace.h"

namespace devlxd {

// Who connected is at_request_boundary once, when the connection is accepted.
enum class CallerKind {
  kInstance,      // of a running instance, in slot
  kUnregistered,  // of a pid namespace that no instance has, or not yet
  kUnidentified,  // of no namespace that an instance could have: the host's own, or it cannot be
                  // known
};

// The pid namespaces around a stranger, innermost first. The open one pins all of them.
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
  uint64_t start_ticks = 0;               // of that process, on IdentityMethod::kProcfs
  bool root = false;                      // is uid 0 of the instance
  std::unique_ptr<NamespaceChain> chain;  // of a stranger
};

// Knows how long a connection can have waited to be accepted. Only the kProcfs path needs it: there
// the caller is known as a number, and a process younger than the oldest possible connection may
// have been given the number of a caller that is gone. Numbers go round, pid_max of them, before
// one comes again: while the queue was seen empty less time ago than that takes, nobody can have
// been given it. When the daemon has stood still for longer, fresh processes are refused instead of
// mistaken.
class AcceptClock {
 public:
  AcceptClock();

  // The accept queue was just seen empty: whoever is accepted later connected later.
  void queue_was_empty();

  // May the process now holding a pid number be another than the one that connected?
  bool may_be_another(uint64_t start_ticks) const;

 private:
  uint64_t empty_at_;            // nanoseconds of CLOCK_BOOTTIME
  uint64_t longest_standstill_;  // nanoseconds
};

// On IdentityMethod::kProcfs, whether the process that has the caller's pid is the caller.
struct PeerProof {
  const AcceptClock& clock;
  uint64_t start_ticks = 0;  // as found when the connection was accepted, by another process; or 0
};

// Asks the kernel who is at the other end of fd, and the table whose that is.
Caller identify(int fd, IdentityMethod path, const InstanceTable& instances, const PeerProof& proof,
                NamespaceCache& known);

// The instance that a stranger belongs to by now, or kNoSlot.
Slot owner_of(const NamespaceChain& chain, const InstanceTable& instances);

// Makes the caller one of the instance in slot; a stranger's chain is closed.
void assign_instance(Caller& caller, Slot slot, const InstanceTable& instances);

}  // namespace devlxd

#endif  // DEVLXD_IDENTITY_CALLER_H_
