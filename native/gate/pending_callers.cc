#include "gate/pending_callers.h"

#include <poll.h>

#include <utility>

namespace devlxd {
namespace {

constexpr uint64_t kTickMilliseconds = 50;

// A connection without a request is closed after this; the same as uWebSockets' own.
constexpr uint64_t kIdleMilliseconds = 10'000;

constexpr uint64_t kNanosecondsPerMillisecond = 1'000'000;

}  // namespace

PendingCallers::PendingCallers(uv_loop_t* loop, uint32_t most, uint32_t timeout,
                               OnTimeout on_timeout)
    : loop_(loop),
      most_(most),
      timeout_(timeout),
      on_timeout_(std::move(on_timeout)),
      tick_(loop, this) {}

void PendingCallers::add(OwnFd fd, Caller caller) {
  waiting_.push_back({std::move(fd), std::move(caller), uv_now(loop_)});
  tick_.start([](uv_timer_t* timer) { static_cast<PendingCallers*>(timer->data)->poll(); },
              kTickMilliseconds);
}

std::vector<PendingCaller> PendingCallers::take_known(const InstanceTable& instances) {
  std::vector<PendingCaller> known;
  for (Place at = waiting_.begin(); at != waiting_.end();) {
    const Place place = at++;
    const Slot slot = owner_of(*place->caller.chain, instances);
    if (slot == kNoSlot) continue;
    assign_instance(place->caller, slot, instances);
    known.push_back(take(place));
  }
  return known;
}

std::vector<PendingCaller> PendingCallers::take_all() {
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
  std::vector<PendingCaller> timed_out;
  size_t n = 0;
  for (Place at = waiting_.begin(); at != waiting_.end();) {
    const Place place = at++;
    const short events = polled[n++].revents;
    if (keeps_waiting(*place, events)) continue;
    PendingCaller taken = take(place);
    if (taken.asked && (events & POLLHUP) == 0) timed_out.push_back(std::move(taken));
  }
  if (waiting_.empty()) tick_.stop();
  for (PendingCaller& waiting : timed_out) on_timeout_(std::move(waiting));
}

bool PendingCallers::keeps_waiting(PendingCaller& waiting, short events) {
  if ((events & POLLHUP) != 0) return false;
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
  return taken;
}

}  // namespace devlxd
