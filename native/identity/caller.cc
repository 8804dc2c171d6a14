#include "identity/caller.h"

#include <sys/socket.h>
#include <time.h>

#include <algorithm>

#include "identity/procfs.h"

namespace devlxd {
namespace {

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;
// No machine forks faster than this per process, all its cores together: pids are given out under
// one lock. For the smallest usual pid_max, 32768, it makes 200 ms.
constexpr uint64_t kNanosecondsPerFork = 6'000;
constexpr uint64_t kLeastStandstill = kNanosecondsPerSecond / 5;
constexpr uint64_t kMostStandstill = 2 * kNanosecondsPerSecond;

uint64_t nanoseconds_since_boot() {
  timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNanosecondsPerSecond + now.tv_nsec;
}

bool proves(const PeerProof& proof, uint64_t start_ticks) {
  if (proof.start_ticks != 0) return start_ticks == proof.start_ticks;
  return !proof.clock.may_be_another(start_ticks);
}

// pidfd of the process that called connect(2); invalid when it cannot be known any more.
OwnFd pidfd_of_peer(int fd, IdentityMethod path, Caller& caller, const PeerProof& proof) {
  if (path != IdentityMethod::kProcfs) {
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    if (getsockopt(fd, SOL_SOCKET, kSoPeerPidfd, &pidfd, &size) != 0) return OwnFd();
    return OwnFd(pidfd);
  }
  OwnFd pidfd(pidfd_open(caller.pid));
  if (!pidfd.valid()) return pidfd;
  // Read between pidfd_open and the later proof that the process was not reaped: it is its own.
  const auto start = start_ticks(caller.pid);
  if (!start || !proves(proof, *start)) return OwnFd();
  caller.start_ticks = *start;
  return pidfd;
}

// Finds the instance whose namespace lies around this one: a container inside the container is its
// host's guest. ids gets the namespaces passed on the way, for the case that there is none.
Slot climb(const PidNamespace& innermost, const InstanceTable& instances,
           std::vector<uint64_t>& ids) {
  ids.push_back(innermost.id);
  PidNamespace outer;
  PidNamespace inner;
  if (!open_parent(innermost, inner)) return kNoSlot;
  while (inner.id != own_namespace_id()) {
    const Slot slot = instances.find(inner.id);
    if (slot != kNoSlot) return slot;
    ids.push_back(inner.id);
    if (!open_parent(inner, outer)) break;
    std::swap(inner, outer);
  }
  return kNoSlot;
}

}  // namespace

AcceptClock::AcceptClock()
    : empty_at_(nanoseconds_since_boot()),
      longest_standstill_(
          std::clamp(pid_max() * kNanosecondsPerFork, kLeastStandstill, kMostStandstill)) {}

void AcceptClock::queue_was_empty() { empty_at_ = nanoseconds_since_boot(); }

bool AcceptClock::may_be_another(uint64_t start_ticks) const {
  static const uint64_t nanoseconds_per_tick = kNanosecondsPerSecond / sysconf(_SC_CLK_TCK);
  const uint64_t latest_start = (start_ticks + 1) * nanoseconds_per_tick;
  return latest_start > empty_at_ && nanoseconds_since_boot() - empty_at_ > longest_standstill_;
}

Caller identify(int fd, IdentityMethod path, const InstanceTable& instances, const PeerProof& proof,
                NamespaceCache& known) {
  Caller caller;
  ucred credentials;
  socklen_t size = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return caller;
  caller.pid = credentials.pid;
  caller.uid = credentials.uid;
  caller.gid = credentials.gid;
  if (caller.pid <= 0) return caller;  // a process that our pid namespace does not contain

  const OwnFd pidfd = pidfd_of_peer(fd, path, caller, proof);
  if (!pidfd.valid()) return caller;
  const uint64_t key = known.key_of(pidfd.get());
  Slot slot = instances.find(known.find(key));
  if (slot != kNoSlot) {
    assign_instance(caller, slot, instances);
    return caller;
  }
  PidNamespace space;
  Failure failure;
  if (open_pid_namespace(path, pidfd.get(), caller.pid, space, failure) !=
      NamespaceOutcome::kOpened) {
    return caller;
  }
  if (space.id == own_namespace_id()) return caller;
  known.remember(key, space.id);
  std::vector<uint64_t> ids;
  slot = instances.find(space.id);
  if (slot == kNoSlot) slot = climb(space, instances, ids);
  if (slot != kNoSlot) {
    assign_instance(caller, slot, instances);
  } else {
    caller.kind = CallerKind::kUnregistered;
    caller.chain =
        std::make_unique<NamespaceChain>(NamespaceChain{std::move(space.fd), std::move(ids)});
  }
  return caller;
}

Slot owner_of(const NamespaceChain& chain, const InstanceTable& instances) {
  for (const uint64_t id : chain.ids) {
    const Slot slot = instances.find(id);
    if (slot != kNoSlot) return slot;
  }
  return kNoSlot;
}

void assign_instance(Caller& caller, Slot slot, const InstanceTable& instances) {
  caller.kind = CallerKind::kInstance;
  caller.slot = slot;
  caller.root = caller.uid == instances.at(slot)->root_uid;
  caller.chain.reset();
}

}  // namespace devlxd
