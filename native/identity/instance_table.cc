#include "identity/instance_table.h"

#include <poll.h>

#include "identity/procfs.h"

namespace devlxd {
namespace {

RegisterOutcome outcome_of(NamespaceOutcome outcome) {
  switch (outcome) {
    case NamespaceOutcome::kOpened:
      return RegisterOutcome::kRegistered;
    case NamespaceOutcome::kGone:
      return RegisterOutcome::kGone;
    case NamespaceOutcome::kDenied:
      return RegisterOutcome::kDenied;
    case NamespaceOutcome::kFailed:
      return RegisterOutcome::kFailed;
  }
  return RegisterOutcome::kFailed;
}

// A zombie can still be signalled, but its instance has ended.
bool has_exited(int pidfd) {
  pollfd exited = {pidfd, POLLIN, 0};
  return poll(&exited, 1, 0) != 0;
}

// The number may be another one's by now.
template <typename Number>
void erase_of(std::unordered_map<Number, Slot>& slots, Number number, Slot slot) {
  const auto found = slots.find(number);
  if (found != slots.end() && found->second == slot) slots.erase(found);
}

OwnFd open_process(pid_t pid, Registration& result) {
  OwnFd process(pidfd_open(pid));
  if (process.valid()) return process;
  if (errno == ESRCH || errno == EINVAL) result.outcome = RegisterOutcome::kGone;
  result.failure = {"pidfd_open", errno};
  return process;
}

}  // namespace

Registration InstanceTable::add(IdentityMethod method, pid_t pid) {
  Registration result;
  OwnFd init = open_process(pid, result);
  if (!init.valid()) return result;
  PidNamespace space;
  result.outcome = outcome_of(open_pid_namespace(method, init.get(), pid, space, result.failure));
  if (result.outcome != RegisterOutcome::kRegistered) return result;
  const auto number_inside = innermost_pid(pid);
  const auto uid = root_uid(pid);
  const auto start = start_ticks(pid);
  const auto taken = by_namespace_.find(space.id);
  if (has_exited(init.get())) {
    result.outcome = RegisterOutcome::kGone;
  } else if (space.id == own_namespace_id()) {
    result.outcome = RegisterOutcome::kOwnNamespace;
  } else if (number_inside != 1) {
    result.outcome = RegisterOutcome::kNotInit;
  } else if (!uid || !start) {
    result.outcome = RegisterOutcome::kNoRoot;
  } else if (taken != by_namespace_.end()) {
    result.slot = taken->second;
    result.outcome = RegisterOutcome::kTaken;
  } else {
    result.namespace_id = space.id;
    result.root_uid = *uid;
    result.start_ticks = *start;
    enter(result, std::move(init));
    by_namespace_.emplace(space.id, result.slot);
  }
  return result;
}

Registration InstanceTable::add_vm(IdentityMethod method, pid_t pid, uint32_t cid) {
  Registration result;
  const auto taken = by_cid_.find(cid);
  if (taken != by_cid_.end() && !has_exited(slots_[taken->second].init.get())) {
    result.slot = taken->second;
    result.outcome = RegisterOutcome::kCidTaken;
    return result;
  }
  result = add(method, pid);
  const bool shares = result.outcome == RegisterOutcome::kOwnNamespace ||
                      result.outcome == RegisterOutcome::kNotInit;
  if (shares) result = add_vm_process(pid);
  if (result.outcome != RegisterOutcome::kRegistered) return result;
  slots_[result.slot].is_vm = true;
  slots_[result.slot].cid = cid;
  if (cid != kNoCid) by_cid_.insert_or_assign(cid, result.slot);
  return result;
}

Registration InstanceTable::add_vm_process(pid_t pid) {
  Registration result;
  OwnFd vmm = open_process(pid, result);
  if (!vmm.valid()) return result;
  const auto start = start_ticks(pid);
  const auto taken = by_process_.find(pid);
  if (has_exited(vmm.get()) || !start) {
    result.outcome = RegisterOutcome::kGone;
  } else if (pid == getpid()) {
    result.outcome = RegisterOutcome::kOwnProcess;
  } else if (taken != by_process_.end() && !has_exited(slots_[taken->second].init.get())) {
    result.slot = taken->second;
    result.outcome = RegisterOutcome::kTaken;
  } else {
    result.start_ticks = *start;
    enter(result, std::move(vmm));
    slots_[result.slot].process = pid;
    by_process_.insert_or_assign(pid, result.slot);
  }
  return result;
}

// Puts what is in made into a slot of the table.
void InstanceTable::enter(Registration& made, OwnFd init) {
  made.outcome = RegisterOutcome::kRegistered;
  made.slot = take_slot();
  Instance& instance = slots_[made.slot];
  instance.init = std::move(init);
  instance.namespace_id = made.namespace_id;
  instance.process = 0;
  instance.cid = kNoCid;
  instance.root_uid = made.root_uid;
  instance.is_vm = false;
  instance.running = true;
  instance.serves_nonroot = false;
  instance.serves_nested = true;
  instance.hits = {};
  instance.answered = 0;
  running_++;
}

void InstanceTable::remove(Slot slot) {
  Instance& instance = slots_[slot];
  if (!instance.running) return;
  instance.running = false;
  instance.active = false;
  running_--;
  if (instance.process == 0) by_namespace_.erase(instance.namespace_id);
  erase_of(by_process_, instance.process, slot);
  erase_of(by_cid_, instance.cid, slot);
  instance.init.reset();
  free_if_unused(slot);
}

Slot InstanceTable::find(uint64_t namespace_id) const {
  const auto found = by_namespace_.find(namespace_id);
  return found == by_namespace_.end() ? kNoSlot : active(found->second);
}

// A pid is one process's as long as that lives. The registered process is asked first: when it
// lives, and the caller lives after that with the same pid, they are one.
Slot InstanceTable::find_process(pid_t pid, int pidfd) const {
  if (by_process_.empty()) return kNoSlot;
  const auto found = by_process_.find(pid);
  if (found == by_process_.end()) return kNoSlot;
  const Slot slot = found->second;
  return has_exited(slots_[slot].init.get()) || has_exited(pidfd) ? kNoSlot : active(slot);
}

// Between the end of a VMM and its removal the kernel may have given its CID to another.
Slot InstanceTable::find_cid(uint32_t cid) const {
  const auto found = by_cid_.find(cid);
  if (found == by_cid_.end() || has_exited(slots_[found->second].init.get())) return kNoSlot;
  return active(found->second);
}

void InstanceTable::discharge(Slot slot) {
  Instance& instance = slots_[slot];
  if (instance.connections == 0) return;
  instance.connections--;
  free_if_unused(slot);
}

Slot InstanceTable::take_slot() {
  if (!free_.empty()) {
    const Slot slot = free_.back();
    free_.pop_back();
    return slot;
  }
  slots_.emplace_back();
  return static_cast<Slot>(slots_.size() - 1);
}

void InstanceTable::free_if_unused(Slot slot) {
  const Instance& instance = slots_[slot];
  if (!instance.running && instance.connections == 0) free_.push_back(slot);
}

}  // namespace devlxd
