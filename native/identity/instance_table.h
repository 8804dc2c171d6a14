#ifndef DEVLXD_IDENTITY_INSTANCE_TABLE_H_
#define DEVLXD_IDENTITY_INSTANCE_TABLE_H_

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "gate/limits.h"
#include "identity/pid_namespace.h"
#include "os/kernel.h"
#include "os/own_fd.h"
#include "os/vsock.h"

namespace devlxd {

class Connection;

// Number of a running instance in the table. It is given to another instance only after the old one
// has been removed and the last connection charged to it is gone.
using Slot = uint32_t;
constexpr Slot kNoSlot = UINT32_MAX;
constexpr size_t kMostSlots = 1u << 28;  // so that slot * 2 + 1 stays a small integer of V8

// A running instance, as far as the gate knows it.
struct Instance {
  // pidfd of its init, or of a virtual machine's VMM: polls readable when that dies, and holds the
  // struct pid, which holds the pid namespace, so that the namespace's id stays its own. The one
  // descriptor held per instance.
  OwnFd init;
  uint64_t namespace_id = 0;    // 0: known by its process
  pid_t process = 0;            // of a virtual machine that is; 0: known by its namespace
  uint32_t cid = kNoCid;        // of a virtual machine with vsock of the kernel
  uid_t root_uid = 0;           // host uid to which the instance's uid 0 maps
  uint32_t connections = 0;     // charged: adopted by uSockets, or detached and not yet released
  uint32_t nonroot = 0;         // owned by uSockets, of users other than root
  Connection* first = nullptr;  // list of the connections that uSockets owns
  LimitHits hits;               // since the instance was started, as is answered
  uint64_t answered = 0;        // requests answered past uWebSockets
  bool is_vm = false;           // the uids of its callers are its VMM's, not those inside
  bool running = false;
  bool active = false;               // callers of its namespace are its guests
  bool serves_nonroot = false;       // other users than root are served, not refused
  bool serves_nested = true;         // so are callers of the pid namespaces inside its own
  bool has_unreported_hits = false;  // Gate::take_slots_with_hits has not returned it yet
};

enum class RegisterOutcome {
  kRegistered,
  kGone,          // no such process, or it has exited
  kOwnNamespace,  // lives in the daemon's own pid namespace
  kOwnProcess,    // is the daemon
  kNotInit,       // is not pid 1 of its namespace
  kNoRoot,        // nothing maps uid 0 of its user namespace (no uid_map written yet?)
  kTaken,         // its namespace or process belongs to a registered instance, named in slot
  kCidTaken,      // so does its context id
  kDenied,        // we may not inspect it
  kFailed,        // a system call failed, in failure
};

struct Registration {
  RegisterOutcome outcome = RegisterOutcome::kFailed;
  Failure failure;
  Slot slot = kNoSlot;
  uint64_t namespace_id = 0;
  uid_t root_uid = 0;
  uint64_t start_ticks = 0;  // start of init, clock ticks since boot
};

// Which pid namespace belongs to which running instance.
class InstanceTable {
 public:
  // Opens a pidfd for pid and reads everything through or guarded by it: what comes out is one
  // process's, or kGone.
  Registration add(IdentityMethod method, pid_t pid);

  // The same for a virtual machine; pid is the process that calls connect(2) for it. As init of a
  // pid namespace it stands for all processes in there, else for itself alone. cid: of the machine,
  // as the operator says: no system call tells whose it is; kNoCid: none
  Registration add_vm(IdentityMethod method, pid_t pid, uint32_t cid);

  // From here on it has guests: find() finds it.
  void activate(Slot slot) { slots_[slot].active = true; }

  // Ends the instance: its namespace is not active from here on. The slot stays taken until the
  // last connection is discharged.
  void remove(Slot slot);

  // The slot of an active instance's namespace id, or kNoSlot.
  Slot find(uint64_t namespace_id) const;

  // The slot of the active virtual machine whose process this is, or kNoSlot. pidfd: of a process
  // that had this pid when it connected
  Slot find_process(pid_t pid, int pidfd) const;
  bool has_process(pid_t pid) const { return by_process_.contains(pid); }

  // The slot of the active virtual machine with this context id, or kNoSlot.
  Slot find_cid(uint32_t cid) const;

  // Null for a slot that was never given out.
  Instance* at(Slot slot) { return slot < slots_.size() ? &slots_[slot] : nullptr; }
  const Instance* at(Slot slot) const { return slot < slots_.size() ? &slots_[slot] : nullptr; }

  void charge(Slot slot) { slots_[slot].connections++; }
  void discharge(Slot slot);

  size_t running() const { return running_; }

 private:
  Registration add_vm_process(pid_t pid);
  void enter(Registration& made, OwnFd init);
  Slot active(Slot slot) const { return slots_[slot].active ? slot : kNoSlot; }
  Slot take_slot();
  void free_if_unused(Slot slot);

  // A deque: an Instance stays where it is while others are added, which JavaScript may do from
  // inside the close of a connection.
  std::deque<Instance> slots_;
  std::vector<Slot> free_;
  size_t running_ = 0;
  std::unordered_map<uint64_t, Slot> by_namespace_;
  std::unordered_map<pid_t, Slot> by_process_;
  std::unordered_map<uint32_t, Slot> by_cid_;
};

}  // namespace devlxd

#endif  // DEVLXD_IDENTITY_INSTANCE_TABLE_H_
