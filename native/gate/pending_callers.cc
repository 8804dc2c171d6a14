#include "gate/pending_callers.h"

#include <poll.h>

#include <algorithm>
#include <utility>

namespace devlxd {
namespace {

constexpr uint64_t kPendingTickMilliseconds = 50;

// A connection without a request is closed after this; the same as uWebSockets' own.
constexpr uint64_t kIdleMilliseconds = 10'000;

constexpr uint64_t kNanosecondsPerMillisecond = 1'000'000;

// The caller has closed, or its virtual machine has ended.
constexpr short kGone = POLLHUP | POLLERR;

bool is_cid(uint64_t owner) { return (owner & kOwnerIsCid) != 0; }

}  // namespace

PendingCallers::PendingCallers(uv_loop_t* loop, IdentityMethod method, uint32_t most,
                               uint32_t timeout, Events events)
    : loop_(loop),
      method_(method),
      most_(most),
      timeout_(timeout),
      events_(std::move(events)),
      tick_(loop, this) {}

bool PendingCallers::add(OwnFd& fd, Caller& caller, Ticket ticket) {
  if (timeout_ == 0 || most_ == 0) return false;
  const bool full = waiting_.size() >= most_ || is_full_of_cids(caller.owner);
  const auto place = full ? place_of_another(caller.owner) : std::nullopt;
  if (full && !place) return false;
  counts_of(caller.owner).add(caller.owner);
  if (is_cid(caller.owner)) with_cid_++;
  last_ticket_ = ticket == kNoTicket ? last_ticket_ + 1 : std::max(last_ticket_, ticket);
  waiting_.push_back({.fd = std::move(fd),
                      .caller = std::move(caller),
                      .ticket = ticket == kNoTicket ? last_ticket_ : ticket,
                      .since = uv_now(loop_),
                      .told = ticket != kNoTicket});
  tick_.start([](uv_timer_t* timer) { static_cast<PendingCallers*>(timer->data)->poll(); },
              kPendingTickMilliseconds);
  // Last, since JavaScript may run and take any of them. At once: this process may be killed.
  if (place) time_out(*place);
  tell_held();
  return true;
}

void PendingCallers::time_out(Place place) {
  std::vector<PendingCaller> taken;
  taken.push_back(take(place));
  tell_let_go(taken);
  events_.timed_out(std::move(taken.front()));
}

Counts<uint64_t>& PendingCallers::counts_of(uint64_t owner) {
  return is_cid(owner) ? by_cid_ : by_namespace_owner_;
}

bool PendingCallers::is_full_of_cids(uint64_t owner) const {
  const uint32_t most_with_cid = (most_ + 1) / 2;
  return is_cid(owner) && with_cid_ >= most_with_cid;
}

// Only of an owner that has more even afterwards: two of them do not drive each other out. When it
// is the machines' half that is full, only of a machine.
std::optional<PendingCallers::Place> PendingCallers::place_of_another(uint64_t owner) {
  auto [most, held] = by_cid_.most();
  if (!is_full_of_cids(owner)) {
    const auto [other, held_by_other] = by_namespace_owner_.most();
    if (held_by_other > held) {
      most = other;
      held = held_by_other;
    }
  }
  if (held < counts_of(owner).of(owner) + 2) return std::nullopt;
  const auto is_of_most = [most = most](const PendingCaller& waiting) {
    return waiting.caller.owner == most;
  };
  const auto newest = std::find_if(waiting_.rbegin(), waiting_.rend(), is_of_most);
  return std::prev(newest.base());
}

void PendingCallers::not_held(Ticket ticket) {
  if (ticket == kNoTicket) return;
  last_ticket_ = std::max(last_ticket_, ticket);
  events_.let_go({ticket});
}

std::vector<PendingCaller> PendingCallers::take_known(const InstanceTable& instances) {
  std::vector<PendingCaller> known;
  for (Place at = waiting_.begin(); at != waiting_.end();) {
    const Place place = at++;
    const Slot slot = instance_of(place->fd.get(), place->caller, method_, instances);
    if (slot == kNoSlot) continue;
    known.push_back(take(place));
    assign_instance(known.back().caller, slot, instances);
  }
  tell_let_go(known);
  return known;
}

std::vector<PendingCaller> PendingCallers::take_all() {
  std::vector<PendingCaller> all = hand_over();
  tell_let_go(all);
  return all;
}

std::vector<PendingCaller> PendingCallers::hand_over() {
  std::vector<PendingCaller> all;
  while (!waiting_.empty()) all.push_back(take(waiting_.begin()));
  return all;
}

void PendingCallers::poll() {
  std::vector<pollfd> polled;
  polled.reserve(waiting_.size());
  for (const PendingCaller& waiting : waiting_) {
    polled.push_back({waiting.fd.get(), static_cast<short>(waiting.asked ? 0 : POLLIN), 0});
  }
  ::poll(polled.data(), polled.size(), 0);
  std::vector<PendingCaller> ended;
  size_t n = 0;
  for (Place at = waiting_.begin(); at != waiting_.end();) {
    const Place place = at++;
    const short events = polled[n++].revents;
    if (keeps_waiting(*place, events)) continue;
    ended.push_back(take(place));
    if ((events & kGone) != 0) ended.back().asked = false;
  }
  if (waiting_.empty()) tick_.stop();
  tell_let_go(ended);
  for (PendingCaller& waiting : ended) {
    if (waiting.asked) events_.timed_out(std::move(waiting));
  }
}

bool PendingCallers::keeps_waiting(PendingCaller& waiting, short events) {
  if ((events & kGone) != 0) return false;
  if (!waiting.asked && (events & POLLIN) != 0) {
    waiting.asked = true;
    waiting.since = uv_now(loop_);
    asking_++;
    asked_++;
  }
  const uint64_t timeout = waiting.asked ? timeout_ : kIdleMilliseconds;
  return uv_now(loop_) - waiting.since < timeout;
}

PendingCaller PendingCallers::take(Place place) {
  PendingCaller taken = std::move(*place);
  waiting_.erase(place);
  if (taken.asked) {
    asking_--;
    held_.add((uv_now(loop_) - taken.since) * kNanosecondsPerMillisecond);
  }
  if (is_cid(taken.caller.owner)) with_cid_--;
  counts_of(taken.caller.owner).remove(taken.caller.owner);
  return taken;
}

void PendingCallers::tell_held() {
  std::vector<const PendingCaller*> held;
  for (PendingCaller& waiting : waiting_) {
    if (!std::exchange(waiting.told, true)) held.push_back(&waiting);
  }
  if (!held.empty()) events_.held(held);
}

void PendingCallers::tell_let_go(const std::vector<PendingCaller>& callers) {
  std::vector<Ticket> tickets;
  for (const PendingCaller& caller : callers) {
    if (caller.told) tickets.push_back(caller.ticket);
  }
  if (!tickets.empty()) events_.let_go(tickets);
}

}  // namespace devlxd
