#include "gate/gate.h"

#include <sys/epoll.h>

#include <utility>

#include "gate/request_head.h"

namespace devlxd {
namespace {

constexpr int kExitBatch = 256;

// Well below AcceptClock's shortest standstill.
constexpr uint64_t kProcfsTickMilliseconds = 50;

uint32_t hold_milliseconds(const GateLimits& limits) {
  return limits.numbers[Limit::kHoldSeconds] * 1000;
}

// request: the head of a GET
std::string_view target_of(std::string_view request) {
  constexpr size_t kMethod = std::string_view("GET ").size();
  return request.substr(kMethod, request.find(' ', kMethod) - kMethod);
}

}  // namespace

Gate::Gate(uv_loop_t* loop, IdentityMethod method, GateLimits limits, Events events)
    : loop_(loop),
      method_(method),
      limits_(limits),
      events_(std::move(events)),
      namespace_cache_(method),
      bridge_({.closed = [this](Connection& connection) { closed(connection); },
               .data = [this](Connection& connection, char* data,
                              size_t length) { read(connection, data, length); },
               .written = [this](Connection& connection) { reader_.written(connection); },
               .frames = [this](int fd, size_t bytes) { return take_frames(fd, bytes); }}),
      reader_(loop, bridge_, *this),
      exits_(epoll_create1(EPOLL_CLOEXEC)),
      pending_(loop, method, limits.numbers[Limit::kPendingCallers], hold_milliseconds(limits),
               {.timed_out = [this](PendingCaller waiting) { time_out(std::move(waiting)); },
                .held = events_.held,
                .let_go = events_.let_go}),
      response_cache_(limits.response_cache_bytes),
      clock_of_loop_(loop),
      request_counts_(clock_of_loop_),
      rate_limiter_(limits.numbers[Limit::kRequestsPerSecond],
                    limits.numbers[Limit::kRequestBurst]),
      throttle_timer_(loop, this),
      next_turn_(loop, this) {
  exits_poll_.open(this, [&](uv_poll_t* poll) { return uv_poll_init(loop, poll, exits_.get()); });
  uv_poll_start(exits_poll_.get(), UV_READABLE,
                [](uv_poll_t* poll, int, int) { static_cast<Gate*>(poll->data)->reap_inits(); });
  exits_poll_.unref();
}

void Gate::set_limits(GateLimits limits) {
  if (limits.response_cache_bytes != limits_.response_cache_bytes)
    response_cache_.set_most(limits.response_cache_bytes);
  limits_ = limits;
  pending_.set(limits.numbers[Limit::kPendingCallers], hold_milliseconds(limits));
  rate_limiter_.set(limits.numbers[Limit::kRequestsPerSecond],
                    limits.numbers[Limit::kRequestBurst]);
}

Gate::Entrance::Entrance(Gate& gate, uv_loop_t* loop)
    : listener(
          loop, [this, &gate](OwnFd fd) { gate.admit(std::move(fd), PeerProof{clock}); },
          [this] { clock.queue_was_empty(); }) {
  if (gate.method_ == IdentityMethod::kProcfs) listener.set_tick(kProcfsTickMilliseconds);
}

Failure Gate::listen(OwnFd listening) {
  auto entrance = std::make_unique<Entrance>(*this, loop_);
  const Failure failure = entrance->listener.start(std::move(listening));
  if (!failure) entrances_.push_back(std::move(entrance));
  return failure;
}

void Gate::stop_listening() {
  for (const auto& entrance : entrances_) entrance->listener.stop();
}

Registration Gate::add(pid_t pid) { return watched(instances_.add(method_, pid)); }

Registration Gate::add_vm(pid_t pid, uint32_t cid) {
  return watched(instances_.add_vm(method_, pid, cid));
}

Registration Gate::watched(Registration result) {
  if (result.outcome != RegisterOutcome::kRegistered) return result;
  watch(result.slot);
  rate_limiter_.reset(result.slot);
  return result;
}

void Gate::activate(Slot slot) {
  instances_.activate(slot);
  for (PendingCaller& known : pending_.take_known(instances_)) {
    admit_as(std::move(known.fd), std::move(known.caller));
  }
}

void Gate::remove(Slot slot) {
  Instance* instance = instances_.at(slot);
  if (instance == nullptr || !instance->running) return;
  while (instance->first != nullptr) bridge_.close(*instance->first);
  response_cache_.forget(slot);
  instances_.remove(slot);
}

Connection*& Gate::head_for(const Connection& connection) {
  if (connection.caller.kind != CallerKind::kInstance) return without_instance_;
  return instances_.at(connection.caller.slot)->first;
}

void Gate::link(Connection& connection) {
  count(connection.caller);
  charge(payer_of(connection.caller));
  Connection*& head = head_for(connection);
  connection.previous = nullptr;
  connection.next = head;
  if (head != nullptr) head->previous = &connection;
  head = &connection;
}

void Gate::unlink(Connection& connection) {
  if (drain_cursor_ == &connection) drain_cursor_ = connection.next;
  if (connection.next != nullptr) connection.next->previous = connection.previous;
  if (connection.previous != nullptr) {
    connection.previous->next = connection.next;
  } else {
    head_for(connection) = connection.next;
  }
  connection.previous = connection.next = nullptr;
}

void Gate::closed(Connection& connection) {
  reader_.forget(connection);
  if (connection.is_throttled()) unthrottle(connection);
  unlink(connection);
  uncount(connection.caller);
}

void Gate::detach(Connection& connection) {
  reader_.forget(connection);
  // Sent before the answer: an upgrade moves the socket, and forgets this.
  if (connection.held != nullptr || connection.is_throttled()) bridge_.start_reading(connection);
  if (connection.is_throttled()) unthrottle(connection);
  connection.held.reset();
  unlink(connection);
  const Caller& caller = connection.caller;
  if (caller.kind == CallerKind::kInstance && !caller.root) instances_.at(caller.slot)->nonroot--;
  connection.detached();
}

bool Gate::answer_from_cache(Connection& connection, std::string_view request) {
  const Caller& caller = connection.caller;
  if (caller.kind != CallerKind::kInstance || !caller.root) return false;
  const ResponseCache::Found found = response_cache_.find(caller.slot, request);
  if (found.response.empty() || !bridge_.send(connection, found.response)) return false;
  counters_.cache_hits++;
  answered_past_uws(connection, found.kind, found.closes);
  return true;
}

// What the kernel does not take now goes through uWebSockets, and is counted there.
bool Gate::answer_directly(Connection& connection, std::string_view request, bool closes) {
  const Caller& caller = connection.caller;
  if (caller.kind != CallerKind::kInstance) return false;
  const std::optional<Response> response = events_.answer(caller, target_of(request));
  if (!response) return false;
  const ResponseBytes made = bytes_of(*response);
  if (made.bytes.size() > kLongestResponse || !bridge_.send(connection, made.bytes)) return false;
  if (caches_for(caller)) response_cache_.keep(caller.slot, request, closes, *response);
  answered_past_uws(connection, response->kind, closes);
  return true;
}

void Gate::answered_past_uws(Connection& connection, RequestKind kind, bool closes) {
  const Caller& caller = connection.caller;
  request_counts_.answered_past_uws(connection, kind);
  instances_.at(caller.slot)->answered++;
  charge_request(caller);
  connection.answered_past_uws();
  if (closes) bridge_.close(connection);
}

bool Gate::caches_for(const Caller& caller) const {
  return limits_.response_cache_bytes > 0 && caller.kind == CallerKind::kInstance && caller.root;
}

bool Gate::may_cache(const Connection& connection) const {
  return caches_for(connection.caller) && reader_.repeatable_request(connection) != nullptr;
}

void Gate::cache_response(Connection& connection, const Response& response) {
  const RepeatableRequest* request = reader_.repeatable_request(connection);
  if (request == nullptr) return;
  response_cache_.keep(connection.caller.slot, request->bytes, request->closes, response);
}

void Gate::sent_ahead(const Connection& connection) {
  count_hit(Limit::kSentAhead, connection.caller.slot);
}

// It counts as a request.
void Gate::refused(const Connection& connection, HeadOutcome why) {
  charge_request(connection.caller);
  request_counts_.refused(why);
  if (why == HeadOutcome::kTooLarge) count_hit(Limit::kRequestHead, connection.caller.slot);
}

void Gate::watch(Slot slot) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u32 = slot;
  epoll_ctl(exits_.get(), EPOLL_CTL_ADD, instances_.at(slot)->init.get(), &event);
}

void Gate::reap_inits() {
  epoll_event events[kExitBatch];
  const int count = epoll_wait(exits_.get(), events, kExitBatch, 0);
  if (count <= 0) return;
  std::vector<Slot> exited;
  for (int i = 0; i < count; i++) {
    const Slot slot = events[i].data.u32;
    exited.push_back(slot);
    instances_.charge(slot);  // so that the slot is not reused before JavaScript has heard of it
    remove(slot);             // closes the pidfd, which leaves the epoll with it
  }
  events_.init_exited(exited);
  for (const Slot slot : exited) instances_.discharge(slot);
}

}  // namespace devlxd
