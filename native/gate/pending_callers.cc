#include "gate/pending_callers.h"

#include <poll.h>

#include <utility>

namespace devlxd {
namespace {

constexpr uint64_t kTickMilliseconds = 50;

// Who says nothing at all for so long is closed; the same as uWebSockets' own.
constexpr uint64_t kIdleMilliseconds = 10'000;

}  // namespace

Strangers::Strangers(uv_loop_t* loop, uint32_t most, uint32_t patience, OnGivenUp on_given_up)
    : loop_(loop), most_(most), patience_(patience), on_given_up_(std::move(on_given_up)) {
  timer_ = new uv_timer_t;
  uv_timer_init(loop, timer_);
  timer_->data = this;
  uv_unref(reinterpret_cast<uv_handle_t*>(timer_));
}

Strangers::~Strangers() {
  uv_close(reinterpret_cast<uv_handle_t*>(timer_),
           [](uv_handle_t* closed) { delete reinterpret_cast<uv_timer_t*>(closed); });
}

void Strangers::add(OwnFd fd, Caller caller) {
  waiting_.push_back({std::move(fd), std::move(caller), uv_now(loop_)});
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(timer_)) != 0) return;
  uv_timer_start(
      timer_, [](uv_timer_t* timer) { static_cast<Strangers*>(timer->data)->look(); },
      kTickMilliseconds, kTickMilliseconds);
}

std::vector<Waiting> Strangers::take_known(const Instances& instances) {
  std::vector<Waiting> known;
  for (Place at = waiting_.begin(); at != waiting_.end();) {
    const Place place = at++;
    const Slot slot = owner_of(*place->caller.lineage, instances);
    if (slot == kNoSlot) continue;
    settle(place->caller, slot, instances);
    known.push_back(take(place));
  }
  return known;
}

std::vector<Waiting> Strangers::take_all() {
  std::vector<Waiting> all;
  while (!waiting_.empty()) all.push_back(take(waiting_.begin()));
  return all;
}

void Strangers::look() {
  std::vector<pollfd> polled;
  polled.reserve(waiting_.size());
  for (const Waiting& waiting : waiting_) {
    polled.push_back({waiting.fd.get(), static_cast<short>(waiting.asked ? 0 : POLLIN), 0});
  }
  poll(polled.data(), polled.size(), 0);
  std::vector<Waiting> given_up;
  size_t n = 0;
  for (Place at = waiting_.begin(); at != waiting_.end();) {
    const Place place = at++;
    const short events = polled[n++].revents;
    if (goes_on(*place, events)) continue;
    Waiting taken = take(place);
    if (taken.asked && (events & POLLHUP) == 0) given_up.push_back(std::move(taken));
  }
  if (waiting_.empty()) uv_timer_stop(timer_);
  for (Waiting& waiting : given_up) on_given_up_(std::move(waiting));
}

// Does it wait on?
bool Strangers::goes_on(Waiting& waiting, short events) {
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

Waiting Strangers::take(Place place) {
  Waiting taken = std::move(*place);
  waiting_.erase(place);
  if (taken.asked) asking_--;
  return taken;
}

}  // namespace devlxd
