#include "gate/pending_callers.h"

#include <poll.h>

#include <utility>

namespace devlxd {
namespace {

constexpr uint64_t kTickMilliseconds = 50;

// Who says nothing at all for so long is closed; the same as uWebSockets' own.
constexpr uint64_t kIdleMilliseconds = 10'000;

}  // namespace

PendingCallers::PendingCallers(uv_loop_t* loop, uint32_t most, uint32_t patience,
                               OnGivenUp on_given_up)
    : loop_(loop), most_(most), patience_(patience), on_given_up_(std::move(on_given_up)) {
  timer_ = new uv_timer_t;
  uv_timer_init(loop, timer_);
  timer_->data = this;
  uv_unref(reinterpret_cast<uv_handle_t*>(timer_));
}

PendingCallers::~PendingCallers() {
  uv_close(reinterpret_cast<uv_handle_t*>(timer_),
           [](uv_handle_t* closed) { delete reinterpret_cast<uv_timer_t*>(closed); });
}

void PendingCallers::add(OwnFd fd, Caller caller) {
  waiting_.push_back({std::move(fd), std::move(caller), uv_now(loop_)});
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(timer_)) != 0) return;
  uv_timer_start(
      timer_, [](uv_timer_t* timer) { static_cast<PendingCallers*>(timer->data)->look(); },
      kTickMilliseconds, kTickMilliseconds);
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

void PendingCallers::look() {
  std::vector<pollfd> polled;
  polled.reserve(waiting_.size());
  for (const PendingCaller& waiting : waiting_) {
    polled.push_back({waiting.fd.get(), static_cast<short>(waiting.asked ? 0 : POLLIN), 0});
  }
  poll(polled.data(), polled.size(), 0);
  std::vector<PendingCaller> given_up;
  size_t n = 0;
  for (Place at = waiting_.begin(); at != waiting_.end();) {
    const Place place = at++;
    const short events = polled[n++].revents;
    if (goes_on(*place, events)) continue;
    PendingCaller taken = take(place);
    if (taken.asked && (events & POLLHUP) == 0) given_up.push_back(std::move(taken));
  }
  if (waiting_.empty()) uv_timer_stop(timer_);
  for (PendingCaller& waiting : given_up) on_given_up_(std::move(waiting));
}

// Does it wait on?
bool PendingCallers::goes_on(PendingCaller& waiting, short events) {
  if ((events & POLLHUP) != 0) return false;
  if (!waiting.asked && (events & POLLIN) != 0) {
    waiting.asked = true;
    waiting.since = uv_now(loop_);
    asking_++;
    asked_++;
  }
  const uint64_t patience = waiting.asked ? patience_ : kIdleMilliseconds;
  return uv_now(loop_) - waiting.since < patience;
}

PendingCaller PendingCallers::take(Place place) {
  PendingCaller taken = std::move(*place);
  waiting_.erase(place);
  if (taken.asked) asking_--;
  return taken;
}

}  // namespace devlxd
