#include "identity/caller.h"

#include <sys/socket.h>

#include <utility>

#include "identity/namespace_owner.h"
#include "identity/procfs.h"
#include "os/peer_credentials.h"

namespace devlxd {
namespace {

bool proves(const PeerProof& proof, uint64_t start_ticks) {
  if (proof.start_ticks != 0) return start_ticks == proof.start_ticks;
  return !proof.clock.may_be_another(start_ticks);
}

OwnFd pidfd_of_socket(int fd) {
  int pidfd = -1;
  socklen_t size = sizeof pidfd;
  if (getsockopt(fd, SOL_SOCKET, kSoPeerPidfd, &pidfd, &size) != 0) return OwnFd();
  return OwnFd(pidfd);
}

// pidfd of the process that called connect(2); invalid when it cannot be known any more.
OwnFd pidfd_of_peer(int fd, IdentityMethod method, Caller& caller, const PeerProof& proof) {
  if (method != IdentityMethod::kProcfs) return pidfd_of_socket(fd);
  OwnFd pidfd(pidfd_open(caller.pid));
  if (!pidfd.valid()) return pidfd;
  // Read between pidfd_open and the later proof that the process was not reaped, so it is the
  // start of that process.
  const auto start = start_ticks(caller.pid);
  if (!start || !proves(proof, *start)) return OwnFd();
  caller.start_ticks = *start;
  return pidfd;
}

// Finds the instance whose pid namespace encloses this one: a container inside an instance counts
// as that instance. ids gets the namespaces passed on the way.
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

// The same once more, of a caller that was identified before.
OwnFd pidfd_again(int fd, IdentityMethod method, const Caller& caller) {
  if (method != IdentityMethod::kProcfs) return pidfd_of_socket(fd);
  OwnFd pidfd(pidfd_open(caller.pid));
  const bool same = pidfd.valid() && start_ticks(caller.pid) == caller.start_ticks;
  return same ? std::move(pidfd) : OwnFd();
}

// By the CID, which the kernel lets no other machine send from.
void identify_vsock(int fd, const InstanceTable& instances, Caller& caller) {
  const auto peer = vsock_peer(fd);
  // The machine of a connection that was reset has ended, and its CID may be another's by now.
  if (!peer || was_reset(fd)) return;
  caller.cid = peer->cid;
  caller.privileged_port = peer->port < kFirstUserPort;
  const Slot slot = instances.find_cid(peer->cid);
  if (slot != kNoSlot) return assign_instance(caller, slot, instances);
  caller.kind = CallerKind::kUnregistered;
  caller.owner = kOwnerIsCid | peer->cid;
}

Slot instance_of_namespaces(const NamespaceChain& chain, const InstanceTable& instances) {
  for (const uint64_t id : chain.ids) {
    const Slot slot = instances.find(id);
    if (slot == kNoSlot) continue;
    return id == chain.ids.front() || instances.at(slot)->serves_nested ? slot : kNoSlot;
  }
  return kNoSlot;
}

}  // namespace

Caller identify(int fd, IdentityMethod method, const InstanceTable& instances,
                const PeerProof& proof, NamespaceCache& known) {
  Caller caller;
  const auto credentials = peer_credentials(fd);
  if (!credentials) return caller;
  caller.pid = credentials->pid;
  caller.uid = credentials->uid;
  caller.gid = credentials->gid;
  if (caller.pid <= 0) {  // a process that our pid namespace does not contain, or a machine
    identify_vsock(fd, instances, caller);
    return caller;
  }
  const OwnFd pidfd = pidfd_of_peer(fd, method, caller, proof);
  if (!pidfd.valid()) return caller;
  Slot slot = instances.find_process(caller.pid, pidfd.get());
  if (slot != kNoSlot) {
    assign_instance(caller, slot, instances);
    return caller;
  }
  const uint64_t key = known.key_of(pidfd.get());
  slot = instances.find(known.find(key));
  if (slot != kNoSlot) {
    assign_instance(caller, slot, instances);
    return caller;
  }
  PidNamespace space;
  Failure failure;
  if (open_pid_namespace(method, pidfd.get(), caller.pid, space, failure) !=
      NamespaceOutcome::kOpened) {
    return caller;
  }
  if (space.id == own_namespace_id()) return caller;
  known.remember(key, space.id);
  std::vector<uint64_t> ids;
  slot = instances.find(space.id);
  if (slot == kNoSlot) {
    slot = climb(space, instances, ids);
    // At once: if it were pending, a container inside could crowd out the others.
    if (slot != kNoSlot && !instances.at(slot)->serves_nested) return caller;
  }
  if (slot != kNoSlot) {
    assign_instance(caller, slot, instances);
  } else {
    caller.kind = CallerKind::kUnregistered;
    caller.owner = namespace_owner(space.fd.get(), ids.back(), caller.uid);
    caller.chain =
        std::make_unique<NamespaceChain>(NamespaceChain{std::move(space.fd), std::move(ids)});
  }
  return caller;
}

Slot instance_of(int fd, const Caller& caller, IdentityMethod method,
                 const InstanceTable& instances) {
  if (caller.cid != kNoCid) return was_reset(fd) ? kNoSlot : instances.find_cid(caller.cid);
  if (instances.has_process(caller.pid)) {
    const OwnFd pidfd = pidfd_again(fd, method, caller);
    const Slot slot = pidfd.valid() ? instances.find_process(caller.pid, pidfd.get()) : kNoSlot;
    if (slot != kNoSlot) return slot;
  }
  return instance_of_namespaces(*caller.chain, instances);
}

void assign_instance(Caller& caller, Slot slot, const InstanceTable& instances) {
  caller.kind = CallerKind::kInstance;
  caller.slot = slot;
  const Instance& instance = *instances.at(slot);
  caller.root = instance.is_vm ? caller.privileged_port : caller.uid == instance.root_uid;
  caller.chain.reset();
}

}  // namespace devlxd
