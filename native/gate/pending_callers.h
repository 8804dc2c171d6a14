#ifndef DEVLXD_GATE_PENDING_CALLERS_H_
#define DEVLXD_GATE_PENDING_CALLERS_H_

#include <uv.h>

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <vector>

#include "gate/counts.h"
#include "gate/histogram.h"
#include "identity/caller.h"
#include "os/uv_handle.h"

namespace devlxd {

// The number of a pending caller, unique as long as its connection is open: the process that goes
// on with it keeps the number.
using Ticket = uint64_t;
constexpr Ticket kNoTicket = 0;

// An accepted connection whose pid namespace, or virtual machine, is not registered yet.
struct PendingCaller {
  OwnFd fd;
  Caller caller;
  Ticket ticket = kNoTicket;
  uint64_t since = 0;  // milliseconds of the loop's clock: accepted, or first request seen
  bool asked = false;
  bool told = false;  // on_held was called for it
};

// Callers of unregistered pid namespaces and virtual machines, held until these are registered or
// their time is over. Their connections are not read: their requests stay in the socket, where the
// next process finds them.
//
// When all places are taken, a caller gets the place of the newest of the owner that has the most,
// if it has fewer itself: nobody can crowd out the guests of others. Machines that are known by
// their CID have half of the places at most: a process that may open /dev/vhost-vsock can be any
// number of machines.
class PendingCallers {
 public:
  struct Events {
    std::function<void(PendingCaller)> timed_out;
    // These are held from now on.
    std::function<void(const std::vector<const PendingCaller*>&)> held;
    // Of these: they are not held any more; called before anything is done with their connections.
    std::function<void(const std::vector<Ticket>&)> let_go;
  };

  // most: how many may wait, 0: none; timeout: milliseconds that a request waits, 0: none does
  PendingCallers(uv_loop_t* loop, IdentityMethod method, uint32_t most, uint32_t timeout,
                 Events events);
  PendingCallers(const PendingCallers&) = delete;
  PendingCallers& operator=(const PendingCallers&) = delete;

  // Changes the limits; callers already waiting are kept.
  void set(uint32_t most, uint32_t timeout) {
    most_ = most;
    timeout_ = timeout;
  }

  // Takes an unregistered caller, unless there is no place for it. One that loses its place to it
  // has timed out. ticket: of the process that has held it before
  bool add(OwnFd& fd, Caller& caller, Ticket ticket = kNoTicket);
  // What another process has held is not held here.
  void not_held(Ticket ticket);

  // Removes and returns the callers whose instance is registered.
  std::vector<PendingCaller> take_known(const InstanceTable& instances);
  std::vector<PendingCaller> take_all();
  // The same for the next process, which goes on holding them.
  std::vector<PendingCaller> hand_over();

  uint32_t size() const { return static_cast<uint32_t>(waiting_.size()); }
  uint32_t asking() const { return asking_; }      // requests held now
  uint64_t asked() const { return asked_; }        // requests ever held
  const Histogram& held() const { return held_; }  // how long they were

 private:
  using Place = std::list<PendingCaller>::iterator;

  void poll();
  bool keeps_waiting(PendingCaller& waiting, short events);
  Counts<uint64_t>& counts_of(uint64_t owner);
  bool is_full_of_cids(uint64_t owner) const;
  std::optional<Place> place_of_another(uint64_t owner);
  void time_out(Place place);
  PendingCaller take(Place place);
  void tell_held();
  void tell_let_go(const std::vector<PendingCaller>& callers);

  uv_loop_t* loop_;
  IdentityMethod method_;
  uint32_t most_;
  uint32_t timeout_;
  Events events_;
  std::list<PendingCaller> waiting_;
  Counts<uint64_t> by_namespace_owner_;
  Counts<uint64_t> by_cid_;
  uint32_t with_cid_ = 0;  // of all
  Ticket last_ticket_ = kNoTicket;
  uint32_t asking_ = 0;
  uint64_t asked_ = 0;
  Histogram held_;
  UvTimer tick_;
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_PENDING_CALLERS_H_
