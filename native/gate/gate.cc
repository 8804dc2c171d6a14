#include "gate/gate.h"

#include <sys/epoll.h>

#include <utility>

#include "gate/request_head.h"

namespace devlxd {
namespace {

constexpr int kExitBatch = 256;

// A longer request line than that is left to uWebSockets as it comes.
constexpr size_t kLongestHeld = 4096;

// Who has sent more than that ahead, and has used up its rate, is no client that waits for answers.
constexpr size_t kLongestDelayed = 64 * 1024;

// Well below AcceptClock's shortest standstill.
constexpr uint64_t kProcfsTickMilliseconds = 50;

uint32_t hold_milliseconds(const GateLimits& limits) {
  return limits.numbers[Limit::kHoldSeconds] * 1000;
}

}  // namespace

Gate::Gate(uv_loop_t* loop, IdentityMethod method, GateLimits limits, OnInitExit on_init_exit,
           OnOddRequest on_odd_request)
    : loop_(loop),
      method_(method),
      limits_(limits),
      on_init_exit_(std::move(on_init_exit)),
      on_odd_request_(std::move(on_odd_request)),
      namespace_cache_(method),
      bridge_([this](Connection& connection) { closed(connection); },
              {.before = [this](Connection& connection,
                                std::string_view data) { return take_data(connection, data); },
               .after = [this] { data_taken(); }}),
      exits_(epoll_create1(EPOLL_CLOEXEC)),
      pending_(loop, limits.numbers[Limit::kPendingCallers], hold_milliseconds(limits),
               [this](PendingCaller waiting) { time_out(std::move(waiting)); }),
      response_cache_(limits.response_cache_bytes),
      rate_limiter_(limits.numbers[Limit::kRequestsPerSecond],
                    limits.numbers[Limit::kRequestBurst]),
      throttle_timer_(loop, this) {
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

Registration Gate::add(pid_t pid) {
  Registration result = instances_.add(method_, pid);
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
  if (chunk_.connection == &connection) drop_chunk();
  if (connection.throttled) unthrottle(connection);
  unlink(connection);
  uncount(connection.caller);
}

void Gate::detach(Connection& connection) {
  if (chunk_.connection == &connection) drop_chunk();
  if (connection.throttled) {
    unthrottle(connection);
    bridge_.read_again(connection);
  }
  connection.held.reset();  // sent before the answer: an upgrade moves the socket, and forgets this
  unlink(connection);
  const Caller& caller = connection.caller;
  if (caller.kind == CallerKind::kInstance && !caller.root) instances_.at(caller.slot)->nonroot--;
  connection.detached = true;
}

Bridge::Verdict Gate::take_data(Connection& connection, std::string_view data) {
  using enum Bridge::Verdict;
  if (must_wait(connection.caller)) {
    if (data.size() > kLongestDelayed) {
      count_hit(Limit::kSentAhead, connection.caller.slot);
      bridge_.close(connection);
      return kDone;
    }
    throttle(connection);
    return kHold;
  }
  if (!connection.at_request_boundary) return kPass;
  if (answer_from_cache(connection, data)) return kDone;
  // uWebSockets mistakes a request line that comes in two pieces for one of another version.
  if (!has_whole_line(data) && data.size() < kLongestHeld) return kHold;
  if (hand_over_if_odd(connection, data)) return kDone;
  connection.at_request_boundary = false;
  if (data.size() <= ResponseCache::kLongestRequest) {
    chunk_.connection = &connection;
    chunk_.data = data;
  }
  return kPass;
}

void Gate::drop_chunk() {
  chunk_.connection = nullptr;
  chunk_.answered = false;
}

void Gate::data_taken() {
  Connection* connection = chunk_.connection;
  if (connection != nullptr && chunk_.answered) {
    connection->at_request_boundary = !bridge_.is_backed_up(*connection);
  }
  drop_chunk();
}

bool Gate::answer_from_cache(Connection& connection, std::string_view data) {
  const Caller& caller = connection.caller;
  if (caller.kind != CallerKind::kInstance || !caller.root) return false;
  const std::string_view answer = response_cache_.find(caller.slot, data);
  if (answer.empty() || !bridge_.send(connection, answer)) return false;
  counters_.cache_hits++;
  instances_.at(caller.slot)->cache_hits++;
  charge_request(caller);
  return true;
}

void Gate::cache_response(Connection& connection, std::string_view head, std::string_view body) {
  if (chunk_.connection != &connection || !is_repeatable_request(chunk_.data)) return;
  chunk_.answered = true;
  const Caller& caller = connection.caller;
  if (caller.kind == CallerKind::kInstance && caller.root) {
    response_cache_.keep(caller.slot, chunk_.data, head, body);
  }
}

bool Gate::hand_over_if_odd(Connection& connection, std::string_view data) {
  if (is_plain_request(data)) return false;
  OwnFd copy = OwnFd::duplicate(bridge_.fd_of(connection));
  if (!copy.valid()) {
    bridge_.close(connection);
    return true;
  }
  unlink(connection);
  connection.detached = true;
  const uint32_t ticket = ++last_ticket_;
  departed_.emplace(ticket, std::move(connection.caller));
  bridge_.close(connection);  // uSockets' descriptor; the connection lives on in the copy
  on_odd_request_(std::move(copy), data, ticket);
  return true;
}

const Caller* Gate::departed(uint32_t ticket) const {
  const auto found = departed_.find(ticket);
  return found == departed_.end() ? nullptr : &found->second;
}

void Gate::forget(uint32_t ticket) {
  const auto found = departed_.find(ticket);
  if (found == departed_.end()) return;
  uncount(found->second);
  departed_.erase(found);
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
    instances_.charge(slot);  // so that nobody is given this slot before everyone has heard of it
    remove(slot);             // closes the pidfd, which leaves the epoll with it
  }
  on_init_exit_(exited);
  for (const Slot slot : exited) instances_.discharge(slot);
}

}  // namespace devlxd
