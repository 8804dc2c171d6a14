#ifndef DEVLXD_GATE_PENDING_CALLERS_H_
#define DEVLXD_GATE_PENDING_CALLERS_H_

#include <uv.h>

#include <cstdint>
#include <functional>
#include <list>
#include <vector>

#include "gate/histogram.h"
#include "identity/caller.h"
#include "os/uv_handle.h"

namespace devlxd {

// An accepted connection whose pid namespace is not registered yet.
struct PendingCaller {
  OwnFd fd;
  Caller caller;
  uint64_t since = 0;  // milliseconds of the loop's clock: accepted, or first request seen
  bool asked = false;
};

// Callers of unregistered pid namespaces, held until the namespace is registered or their time is
// over. Their connections are not read: their requests stay in the socket, where the next process
// finds them.
class PendingCallers {
 public:
  using OnTimeout = std::function<void(PendingCaller)>;

  // most: how many may wait, 0: none; timeout: milliseconds that a request waits, 0: none does
  PendingCallers(uv_loop_t* loop, uint32_t most, uint32_t timeout, OnTimeout on_timeout);
  PendingCallers(const PendingCallers&) = delete;
  PendingCallers& operator=(const PendingCallers&) = delete;

  // Changes the limits; callers already waiting are kept.
  void set(uint32_t most, uint32_t timeout) {
    most_ = most;
    timeout_ = timeout;
  }

  bool has_room() const { return timeout_ > 0 && waiting_.size() < most_; }
  void add(OwnFd fd, Caller caller);

  // Removes and returns the callers whose instance is registered.
  std::vector<PendingCaller> take_known(const InstanceTable& instances);
  std::vector<PendingCaller> take_all();

  uint32_t size() const { return static_cast<uint32_t>(waiting_.size()); }
  uint32_t asking() const { return asking_; }      // requests held now
  uint64_t asked() const { return asked_; }        // requests ever held
  const Histogram& held() const { return held_; }  // how long they were

 private:
  using Place = std::list<PendingCaller>::iterator;

  void poll();
  bool keeps_waiting(PendingCaller& waiting, short events);
  PendingCaller take(Place place);

  uv_loop_t* loop_;
  uint32_t most_;
  uint32_t timeout_;
  OnTimeout on_timeout_;
  std::list<PendingCaller> waiting_;
  uint32_t asking_ = 0;
  uint64_t asked_ = 0;
  Histogram held_;
  UvTimer tick_;
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_PENDING_CALLERS_H_
