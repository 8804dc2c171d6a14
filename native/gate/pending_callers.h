#ifndef DEVLXD_GATE_PENDING_CALLERS_H_
#define DEVLXD_GATE_PENDING_CALLERS_H_

#include <uv.h>

#include <cstdint>
#include <functional>
#include <list>
#include <vector>

#include "identity/caller.h"

namespace devlxd {

// A connection that nobody serves yet, and who has made it.
struct PendingCaller {
  OwnFd fd;
  Caller caller;
  uint64_t since = 0;  // milliseconds on the loop's clock: accepted, or has asked for something
  bool asked = false;
};

// Callers of namespaces that no instance has, or not yet. Nothing is read of them before it is
// known whose they are, or their time is over: what they have asked stays in their sockets, where
// the next process finds it.
class PendingCallers {
 public:
  using OnGivenUp = std::function<void(PendingCaller)>;

  // most: how many may wait, 0: none; patience: milliseconds that a request waits, 0: none does
  PendingCallers(uv_loop_t* loop, uint32_t most, uint32_t patience, OnGivenUp on_given_up);
  ~PendingCallers();
  PendingCallers(const PendingCallers&) = delete;
  PendingCallers& operator=(const PendingCallers&) = delete;

  // The same, from now on; whom they are too many for may stay.
  void set(uint32_t most, uint32_t patience) {
    most_ = most;
    patience_ = patience;
  }

  bool has_room() const { return patience_ > 0 && waiting_.size() < most_; }
  void add(OwnFd fd, Caller caller);

  // Those whose instance is there by now; they do not wait any longer.
  std::vector<PendingCaller> take_known(const InstanceTable& instances);
  std::vector<PendingCaller> take_all();

  uint32_t size() const { return static_cast<uint32_t>(waiting_.size()); }
  uint32_t asking() const { return asking_; }
  uint64_t asked() const { return asked_; }  // so many have waited with a request

 private:
  using Place = std::list<PendingCaller>::iterator;

  void look();
  bool goes_on(PendingCaller& waiting, short events);
  PendingCaller take(Place place);

  uv_loop_t* loop_;
  uint32_t most_;
  uint32_t patience_;
  OnGivenUp on_given_up_;
  std::list<PendingCaller> waiting_;
  uint32_t asking_ = 0;
  uint64_t asked_ = 0;
  uv_timer_t* timer_ = nullptr;  // freed by uv_close's callback
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_PENDING_CALLERS_H_
