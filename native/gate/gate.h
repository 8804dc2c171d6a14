#ifndef DEVLXD_GATE_GATE_H_
#define DEVLXD_GATE_GATE_H_

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "accept/listener.h"
#include "gate/counts.h"
#include "gate/limits.h"
#include "gate/loop_clock.h"
#include "gate/pending_callers.h"
#include "gate/rate_limiter.h"
#include "gate/request_counts.h"
#include "gate/request_reader.h"
#include "gate/response_cache.h"
#include "gate/throttled_connections.h"
#include "gate/turn_shares.h"
#include "identity/caller.h"
#include "identity/instance_table.h"
#include "os/uv_handle.h"
#include "uws/bridge.h"

namespace devlxd {

struct GateLimits {
  LimitNumbers numbers;
  uint32_t response_cache_bytes = 0;  // for one instance; 0: no response is cached
};

struct GateCounters {
  uint64_t accepted = 0;
  uint64_t unidentified = 0;  // connections of unidentified callers that were served
  uint64_t cache_hits = 0;    // requests answered from the response cache
};

// How many connections there are of each kind of caller, and the most that one instance or user
// has.
struct ConnectionsUsed {
  uint32_t most_of_instance = 0;
  uint32_t most_nonroot = 0;
  uint32_t unregistered = 0;
  uint32_t unidentified = 0;
  uint32_t most_of_uid = 0;
};

// A connection with which another process goes on.
struct HandoverConnection {
  OwnFd fd;
  Slot slot;  // kNoSlot: of no instance; the next process identifies its caller again
  bool root;
  uint64_t start_ticks;       // of the process that connected; 0 where its pidfd tells
  Ticket ticket = kNoTicket;  // of a pending caller
  OwnFd part;  // a memory_file() with what was read and not answered; invalid: nothing was
};

// From accept(2) to uWebSockets: takes guests' connections in, identifies their callers, and keeps
// count until they close.
class Gate final : private RequestPolicy {
 public:
  struct Events {
    std::function<void(const std::vector<Slot>&)> init_exited;
    // Of pending callers: PendingCallers::Events'.
    std::function<void(const std::vector<const PendingCaller*>&)> held;
    std::function<void(const std::vector<Ticket>&)> let_go;
    // JavaScript's response to a GET of this path and query by an instance's caller, valid until
    // the next call; nothing: the request has to go through uWebSockets. Nothing else runs
    // meanwhile.
    std::function<std::optional<Response>(const Caller&, std::string_view target)> answer;
  };

  Gate(uv_loop_t* loop, IdentityMethod method, GateLimits limits, Events events);
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  Bridge& bridge() { return bridge_; }
  IdentityMethod method() const { return method_; }

  // Takes effect at once. Connections above a lowered limit are kept.
  void set_limits(GateLimits limits);

  // Accepts on one more socket.
  Failure listen(OwnFd listening);
  // On none of them any more.
  void stop_listening();

  // Holds a running init. No caller belongs to it before activate().
  Registration add(pid_t pid);
  // The same for a virtual machine; InstanceTable::add_vm
  Registration add_vm(pid_t pid, uint32_t cid);
  void activate(Slot slot);

  // Closes the instance's connections, then forgets its namespace.
  void remove(Slot slot);

  // Takes in a connection that another process has accepted, or closes it. start_ticks, ticket:
  // HandoverConnection's
  void admit(OwnFd fd, uint64_t start_ticks, Ticket ticket) {
    admit(std::move(fd), {clock_, start_ticks}, ticket);
  }

  // The same with a caller made up: the self-test's.
  Connection* admit_as(OwnFd fd, Caller caller);

  // The connection stops being the gate's, but stays charged to its instance until discharge().
  // To be called before a WebSocket upgrade (which moves the socket) or before taking its fd.
  void detach(Connection& connection);
  void discharge(Slot slot);

  // From here on the instance pays for what this WebSocket sends, of which there is a most. socket:
  // the us_socket_t behind its JavaScript object
  void watch_frames(void* socket, Slot slot);
  // It has ended, and its slot may become another instance's. fd: its descriptor; while its peer
  // goes on sending, there is still a most, and nobody pays.
  void forget_frames(int fd);

  // Does the instance serve callers of containers inside it?
  void set_serves_nested(Slot slot, bool serves) { instances_.at(slot)->serves_nested = serves; }
  // Does the instance serve users other than root? If not, these share connections-nonroot.
  void set_serves_nonroot(Slot slot, bool serves) { instances_.at(slot)->serves_nonroot = serves; }

  // Before this process ends: closes idle connections. Call again for connections that were busy.
  void close_idle() { drain(false); }
  // The same, but gives away the connections that the next process can serve.
  std::vector<HandoverConnection> take_for_handover();

  // Takes such a connection in, as one of this slot's instance: its caller was identified by the
  // process that accepted it. part: HandoverConnection's. False: closed.
  bool readmit(OwnFd fd, Slot slot, bool root, OwnFd part);

  // To be called once for each request that reaches JavaScript.
  void charge_request(const Caller& caller) { charge(payer_of(caller)); }
  // Charges other work, in tokens: requests that cost as much.
  void charge(Payer payer, double tokens = 1);

  // To be called before the last of a response is given to uWebSockets.
  void response_given(Connection& connection) {
    request_counts_.answered(connection);
    reader_.response_given(connection);
  }

  // Can the request whose handler runs come again, and would its response be kept?
  bool may_cache(const Connection& connection) const;
  void cache_response(Connection& connection, const Response& response);

  // Nothing that was answered for this slot may be answered again.
  void forget_responses(Slot slot) { response_cache_.forget(slot); }

  GateCounters counters() const { return counters_; }
  // Since the gate was made.
  LimitHits hits() const;
  // Nanoseconds of the longest turn of the event loop since the last call.
  uint64_t take_longest_turn() { return clock_of_loop_.take_longest(); }
  uint32_t connections() const { return connections_ + pending_.size(); }
  const PendingCallers& pending_callers() const { return pending_; }
  const RequestCounts& request_counts() const { return request_counts_; }
  ConnectionsUsed connections_used() const;
  // The connections that there may be, as long as no instance starts or stops.
  uint32_t room() const;
  const Instance* instance(Slot slot) const { return instances_.at(slot); }
  size_t running() const { return instances_.running(); }

  // The slots of which something was refused or throttled since the last call.
  std::vector<Slot> take_slots_with_hits();

 private:
  // A listening socket. How long callers can have waited on it, it alone knows.
  struct Entrance {
    Entrance(Gate& gate, uv_loop_t* loop);
    AcceptClock clock;
    Listener listener;
  };

  // What a WebSocket has sent in this second.
  struct SentFrames {
    Slot slot = kNoSlot;   // no one's once it has ended
    uint64_t ends_at = 0;  // milliseconds of the loop's clock
    size_t bytes = 0;
  };

  void admit(OwnFd fd, const PeerProof& proof, Ticket ticket = kNoTicket);
  void read(Connection& connection, char* data, size_t length);
  bool may_work(Payer payer);
  void spend_turn(Payer payer);
  bool must_wait(const Connection& connection) override;
  void throttle(Connection& connection) override;
  void begun(Connection& connection) override { request_counts_.begun(connection); }
  bool answer_from_cache(Connection& connection, std::string_view request) override;
  bool answer_directly(Connection& connection, std::string_view request, bool closes) override;
  void answered_past_uws(Connection& connection, RequestKind kind, bool closes);
  bool caches_for(const Caller& caller) const;
  void sent_ahead(const Connection& connection) override;
  void refused(const Connection& connection, HeadOutcome why) override;
  void charge_read(const Connection& connection, size_t bytes);
  bool take_frames(int fd, size_t bytes);
  bool has_room_for(const Caller& caller);
  void link(Connection& connection);
  void unlink(Connection& connection);
  std::vector<HandoverConnection> drain(bool keep);
  void drain_list(Connection* first, bool keep, std::vector<HandoverConnection>& kept);
  std::optional<HandoverConnection> handed_over(Connection& connection);
  void time_out(PendingCaller waiting);
  Connection*& head_for(const Connection& connection);
  void closed(Connection& connection);
  Registration watched(Registration result);
  void watch(Slot slot);
  void reap_inits();
  bool is_full(Limit limit, uint32_t connections) const;
  bool has_room_in_instance(const Caller& caller);
  bool has_room_unregistered(const Caller& caller);
  bool has_room_unidentified(const Caller& caller);
  bool refuse(Limit limit, const Caller& caller);
  void count_hit(Limit limit, Slot slot = kNoSlot);
  void count(const Caller& caller);
  void uncount(const Caller& caller);
  void throttle_unread(Payer payer);
  void wait_for_turn(Payer payer);
  void unthrottle(Connection& connection);
  void resume(Connection& connection);
  void resume_throttled();
  void resume_throttled(Payer payer);
  void answer_throttled();

  uv_loop_t* loop_;
  IdentityMethod method_;
  GateLimits limits_;
  Events events_;
  AcceptClock clock_;  // for connections that another process has accepted
  NamespaceCache namespace_cache_;
  InstanceTable instances_;
  Bridge bridge_;
  RequestReader reader_;
  std::vector<std::unique_ptr<Entrance>> entrances_;
  OwnFd exits_;  // epoll over the pidfds of all inits
  UvHandle<uv_poll_t> exits_poll_;
  Connection* without_instance_ =
      nullptr;  // connections of unidentified and of unregistered callers
  PendingCallers pending_;
  uint32_t connections_ = 0;   // adopted or detached, of everyone
  uint32_t unregistered_ = 0;  // of these, by unregistered callers
  uint32_t unidentified_ = 0;  // of these, by unidentified callers
  Counts<uid_t> unidentified_by_uid_;
  Counts<uint64_t> unregistered_by_owner_;
  std::vector<Slot> slots_with_hits_;   // each once
  Connection* drain_cursor_ = nullptr;  // where drain() goes on
  ResponseCache response_cache_;
  LoopClock clock_of_loop_;
  RequestCounts request_counts_;
  RateLimiter rate_limiter_;
  TurnShares turn_shares_;
  uint64_t read_since_ = 0;  // nanoseconds of LoopClock; what its payer has not spent yet
  ThrottledConnections throttled_;
  UvTimer throttle_timer_;               // for rates
  UvEachTurn next_turn_;                 // for shares of a turn
  std::vector<SentFrames> sent_frames_;  // by the descriptor of the WebSocket
  GateCounters counters_;
  LimitHits hits_;
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_GATE_H_
