// Which connections are let in, and how they are counted.
#include <sys/socket.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "gate/gate.h"

namespace devlxd {
namespace {

// Nothing was sent, and nothing will be.
bool has_ended(int fd) {
  char byte = 0;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

}  // namespace

void Gate::admit(OwnFd fd, const PeerProof& proof, Ticket ticket) {
  counters_.accepted++;
  // Cheap: a flood of them costs the one that makes it more than it costs us.
  if (has_ended(fd.get())) return pending_.not_held(ticket);
  Caller caller = identify(fd.get(), method_, instances_, proof, namespace_cache_);
  if (caller.kind == CallerKind::kUnregistered && connections() < room() &&
      pending_.add(fd, caller, ticket)) {
    return;
  }
  pending_.not_held(ticket);
  if (!has_room_for(caller)) return;
  if (caller.kind == CallerKind::kUnregistered && limits_.numbers[Limit::kHoldSeconds] != 0) {
    count_hit(Limit::kPendingCallers);
  }
  caller.chain.reset();
  admit_as(std::move(fd), std::move(caller));
}

// Timed out: serve it as an unregistered caller (500).
void Gate::time_out(PendingCaller waiting) {
  if (!has_room_for(waiting.caller)) return;
  waiting.caller.chain.reset();
  admit_as(std::move(waiting.fd), std::move(waiting.caller));
}

Connection* Gate::admit_as(OwnFd fd, Caller caller) {
  Connection* connection = bridge_.adopt(std::move(fd), std::move(caller));
  if (connection != nullptr) link(*connection);
  return connection;
}

uint32_t Gate::room() const {
  constexpr uint32_t kAny = std::numeric_limits<uint32_t>::max();
  const uint32_t connections = limits_.numbers[Limit::kConnections];
  const uint32_t descriptors = limits_.numbers[Limit::kDescriptors];
  const uint32_t allowed = connections == 0 ? kAny : connections;
  if (descriptors == 0) return allowed;
  const auto inits = static_cast<uint32_t>(running());
  return std::min(allowed, descriptors - std::min(inits, descriptors));
}

// Each kind of caller has a room of its own: none can take the room of another.
bool Gate::has_room_for(const Caller& caller) {
  if (connections() >= room()) return refuse(Limit::kConnections, caller);
  switch (caller.kind) {
    case CallerKind::kInstance:
      return has_room_in_instance(caller);
    case CallerKind::kUnregistered:
      return has_room_unregistered(caller);
    case CallerKind::kUnidentified:
      return has_room_unidentified(caller);
  }
  return false;
}

// Users other than root, when they will only hear 401, leave the instance's root its room.
bool Gate::has_room_in_instance(const Caller& caller) {
  const Instance& instance = *instances_.at(caller.slot);
  if (is_full(Limit::kConnectionsPerInstance, instance.connections)) {
    return refuse(Limit::kConnectionsPerInstance, caller);
  }
  if (caller.root || instance.serves_nonroot) return true;
  return !is_full(Limit::kConnectionsNonroot, instance.nonroot) ||
         refuse(Limit::kConnectionsNonroot, caller);
}

// An owner that has not registered what it runs has no more of them than an instance would.
bool Gate::has_room_unregistered(const Caller& caller) {
  const uint32_t of_owner = unregistered_by_owner_.of(caller.owner);
  return (!is_full(Limit::kConnectionsUnregistered, unregistered_) &&
          !is_full(Limit::kConnectionsPerInstance, of_owner)) ||
         refuse(Limit::kConnectionsUnregistered, caller);
}

bool Gate::has_room_unidentified(const Caller& caller) {
  if (is_full(Limit::kConnectionsUnidentified, unidentified_)) {
    return refuse(Limit::kConnectionsUnidentified, caller);
  }
  return !is_full(Limit::kConnectionsPerUid, unidentified_by_uid_.of(caller.uid)) ||
         refuse(Limit::kConnectionsPerUid, caller);
}

bool Gate::is_full(Limit limit, uint32_t connections) const {
  const uint32_t most = limits_.numbers[limit];
  return most != 0 && connections >= most;
}

bool Gate::refuse(Limit limit, const Caller& caller) {
  count_hit(limit, caller.slot);
  return false;
}

void Gate::count_hit(Limit limit, Slot slot) {
  hits_[limit]++;
  if (slot == kNoSlot) return;
  Instance& instance = *instances_.at(slot);
  instance.hits[limit]++;
  if (!instance.has_unreported_hits) slots_with_hits_.push_back(slot);
  instance.has_unreported_hits = true;
}

LimitHits Gate::hits() const {
  LimitHits hits = hits_;
  for (const auto& entrance : entrances_) hits[Limit::kDescriptors] += entrance->listener.shed();
  return hits;
}

std::vector<Slot> Gate::take_slots_with_hits() {
  for (const Slot slot : slots_with_hits_) instances_.at(slot)->has_unreported_hits = false;
  return std::exchange(slots_with_hits_, {});
}

void Gate::count(const Caller& caller) {
  connections_++;
  switch (caller.kind) {
    case CallerKind::kInstance:
      instances_.charge(caller.slot);
      if (!caller.root) instances_.at(caller.slot)->nonroot++;
      break;
    case CallerKind::kUnregistered:
      unregistered_++;
      unregistered_by_owner_.add(caller.owner);
      break;
    case CallerKind::kUnidentified:
      counters_.unidentified++;
      unidentified_++;
      unidentified_by_uid_.add(caller.uid);
      break;
  }
}

void Gate::uncount(const Caller& caller) {
  switch (caller.kind) {
    case CallerKind::kInstance:
      if (!caller.root) instances_.at(caller.slot)->nonroot--;
      return discharge(caller.slot);
    case CallerKind::kUnregistered:
      unregistered_--;
      unregistered_by_owner_.remove(caller.owner);
      break;
    case CallerKind::kUnidentified:
      unidentified_--;
      unidentified_by_uid_.remove(caller.uid);
      break;
  }
  connections_--;
}

ConnectionsUsed Gate::connections_used() const {
  ConnectionsUsed used = {.unregistered = unregistered_, .unidentified = unidentified_};
  for (Slot slot = 0; const Instance* instance = instances_.at(slot); slot++) {
    used.most_of_instance = std::max(used.most_of_instance, instance->connections);
    if (!instance->serves_nonroot)
      used.most_nonroot = std::max(used.most_nonroot, instance->nonroot);
  }
  used.most_of_uid = unidentified_by_uid_.most().second;
  return used;
}

void Gate::discharge(Slot slot) {
  connections_--;
  instances_.discharge(slot);
}

}  // namespace devlxd
