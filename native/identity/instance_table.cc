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

}  // namespace

Registration InstanceTable::add(IdentityMethod method, pid_t pid) {
  Registration result;
  OwnFd init(pidfd_open(pid));
  if (!init.valid()) {
    if (errno == ESRCH || errno == EINVAL) result.outcome = RegisterOutcome::kGone;
    result.failure = {"pidfd_open", errno};
    return result;
  }
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
    result.slot = take_slot();
    result.namespace_id = space.id;
    result.root_uid = *uid;
    result.start_ticks = *start;
    Instance& instance = slots_[result.slot];
    instance.init = std::move(init);
    instance.namespace_id = space.id;
    instance.root_uid = *uid;
    instance.running = true;
    instance.serves_nonroot = false;
    instance.serves_nested = true;
    instance.hits = {};
    instance.cache_hits = 0;
    by_namespace_.emplace(space.id, result.slot);
  }
  return result;
}

void InstanceTable::remove(Slot slot) {
  Instance& instance = slots_[slot];
  if (!instance.running) return;
  instance.running = false;
  instance.active = false;
  by_namespace_.erase(instance.namespace_id);
  instance.init.reset();
  free_if_unused(slot);
}

Slot InstanceTable::find(uint64_t namespace_id) const {
  const auto found = by_namespace_.find(namespace_id);
  const bool active = found != by_namespace_.end() && slots_[found->second].active;
  return active ? found->second : kNoSlot;
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
