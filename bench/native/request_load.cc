#include "request_load.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "sockets.h"

namespace devlxd::bench {
namespace {

constexpr double kNanosecondsPerSecond = 1e9;
constexpr uint64_t kDrain = 5'000'000'000;     // nanoseconds that the last answers may take
constexpr int64_t kRetryPause = 1'000'000;     // nanoseconds until a full backlog is tried again
constexpr int64_t kLongestWait = 100'000'000;  // nanoseconds
constexpr size_t kBufferSize = 256 * 1024;
constexpr int kMaxEvents = 512;

uint64_t nanoseconds(double seconds) {
  return static_cast<uint64_t>(seconds * kNanosecondsPerSecond);
}

}  // namespace

RequestLoad::RequestLoad(const LoadOptions& options, const sockaddr_un& address, Tally& tally)
    : options_(options),
      address_(address),
      request_(options.request()),
      tally_(tally),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      buffer_(kBufferSize),
      interval_(options.rate > 0 ? kNanosecondsPerSecond / options.rate : 0) {
  for (uint64_t i = 0; i < options.connections; i++) {
    connections_.push_back({OwnFd(), AnswerParser(options.body())});
  }
  for (Connection& connection : connections_) idle_.push_back(&connection);
}

const LoadResult& RequestLoad::run() {
  prctl(PR_SET_TIMERSLACK, 1);  // or each wait of an open loop ends 50 us late
  began_ = now();
  measured_from_ = began_ + nanoseconds(options_.warmup);
  end_ = measured_from_ + nanoseconds(options_.seconds);
  uint64_t time = began_;
  const uint64_t used = cpu_time();
  while (!finished(time) && !tally_.hopeless()) {
    for (Connection* connection : std::exchange(waiting_, {}))
      begin(*connection, connection->began);
    begin_due(time);
    wait();
    time = now();
  }
  result_.busy = static_cast<double>(cpu_time() - used) / static_cast<double>(time - began_);
  time_out(time);
  result_.seconds = static_cast<double>(std::min(time, end_) - std::min(time, measured_from_)) /
                    kNanosecondsPerSecond;
  return result_;
}

uint64_t RequestLoad::next_due() const {
  return began_ + static_cast<uint64_t>(static_cast<double>(scheduled_) * interval_);
}

bool RequestLoad::all_scheduled() const {
  return options_.requests > 0 && scheduled_ >= options_.requests;
}

bool RequestLoad::finished(uint64_t time) const {
  if (all_scheduled() && under_way_ == 0) return true;
  if (time < end_) return false;
  const bool all_begun = !is_open_loop() || next_due() >= end_;
  return time >= end_ + kDrain || (under_way_ == 0 && all_begun);
}

void RequestLoad::begin_due(uint64_t time) {
  while (!idle_.empty() && !all_scheduled()) {
    const uint64_t due = is_open_loop() ? next_due() : time;
    if (due > time || due >= end_) return;
    Connection& connection = *idle_.front();
    idle_.pop_front();
    scheduled_++;
    under_way_++;
    begin(connection, due);
  }
}

void RequestLoad::begin(Connection& connection, uint64_t due) {
  connection.began = due;
  connection.answer.restart();
  if (!connection.fd.valid() && !open(connection)) {
    waiting_.push_back(&connection);
    return;
  }
  connection.busy = true;
  if (options_.patch) request_ = options_.patch_request(index_of(connection) + 1, scheduled_);
  const ssize_t size = send(connection.fd.get(), request_.data(), request_.size(), MSG_NOSIGNAL);
  if (size == static_cast<ssize_t>(request_.size())) return;
  tally_.error(size < 0 ? Failure{"send", errno} : Failure{"send", EMSGSIZE});
  failed(connection);
}

uint64_t RequestLoad::index_of(const Connection& connection) const {
  return static_cast<uint64_t>(&connection - connections_.data());
}

bool RequestLoad::open(Connection& connection) {
  Failure failure;
  OwnFd fd = connect_to(address_, failure);
  if (fd.valid() && watch(epoll_.get(), fd.get(), index_of(connection), EPOLLIN, failure)) {
    connection.fd = std::move(fd);
    return true;
  }
  if (failure.code != EAGAIN) tally_.error(failure);
  return false;
}

void RequestLoad::wait() {
  const int64_t left = patience(now());
  const timespec timeout = {left / 1'000'000'000, left % 1'000'000'000};
  epoll_event events[kMaxEvents];
  const int count = epoll_pwait2(epoll_.get(), events, kMaxEvents, &timeout, nullptr);
  for (int i = 0; i < count; i++) receive(connections_[events[i].data.u64]);
}

// Nanoseconds until something must be done, whatever comes.
int64_t RequestLoad::patience(uint64_t time) const {
  int64_t left = waiting_.empty() ? kLongestWait : kRetryPause;
  if (is_open_loop() && !idle_.empty() && next_due() < end_) {
    left = std::min(left, static_cast<int64_t>(next_due()) - static_cast<int64_t>(time));
  }
  if (time < end_) left = std::min(left, static_cast<int64_t>(end_ - time));
  return std::max<int64_t>(left, 0);
}

void RequestLoad::receive(Connection& connection) {
  if (!connection.fd.valid()) return;  // closed earlier in this turn
  const ssize_t size = read(connection.fd.get(), buffer_.data(), buffer_.size());
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (!connection.busy && size <= 0) {
    connection.fd.reset();  // a server may close what is idle; the next request opens it again
    return;
  }
  const std::string_view received(buffer_.data(), std::max<ssize_t>(size, 0));
  if (connection.busy && connection.answer.untouched() && namespace_cache_.equals(received)) {
    return right(connection, received.size());
  }
  std::string_view rest = received;
  const auto outcome = size > 0 ? connection.answer.feed(rest) : AnswerParser::Outcome::kBroken;
  if (outcome == AnswerParser::Outcome::kMore) return;
  if (outcome == AnswerParser::Outcome::kDone && rest.empty() && connection.busy) {
    return judge(connection, received);
  }
  if (size < 0) {
    tally_.error(Failure{"read", errno});
  } else if (size == 0) {
    tally_.error("the connection ended before its answer did");
  } else {
    tally_.error("what came is no HTTP answer, or more than one");
  }
  failed(connection);
}

void RequestLoad::judge(Connection& connection, std::string_view received) {
  const AnswerParser& answer = connection.answer;
  if (answer.status() == options_.status() && answer.body_matches()) {
    if (answer.bytes() == received.size()) namespace_cache_.remember(received);
    return right(connection, answer.bytes());
  }
  tally_.mismatch(answer, received);
  answered(connection, now());
}

void RequestLoad::right(Connection& connection, uint64_t bytes) {
  const uint64_t time = now();
  record(connection, time, bytes);
  answered(connection, time);
}

void RequestLoad::answered(Connection& connection, uint64_t time) {
  if (options_.mode == LoadOptions::Mode::kConnect) connection.fd.reset();
  connection.busy = false;
  connection.answer.restart();
  under_way_--;
  idle_.push_back(&connection);
  begin_due(time);
}

void RequestLoad::failed(Connection& connection) {
  connection.fd.reset();
  if (std::exchange(connection.busy, false)) {
    under_way_--;
    idle_.push_back(&connection);
  }
}

void RequestLoad::record(const Connection& connection, uint64_t time, uint64_t bytes) {
  const uint64_t counted_at = is_open_loop() ? connection.began : time;
  if (counted_at < measured_from_ || counted_at >= end_) return;
  result_.requests++;
  result_.answer_bytes = bytes;
  result_.nanoseconds.add(time - connection.began);
}

// Requests without an answer at the end count as lost; an open loop also counts what it could not
// send.
void RequestLoad::time_out(uint64_t time) {
  for (uint64_t i = 0; i < under_way_; i++) tally_.error("a request was not answered in 5 s");
  if (!is_open_loop() || tally_.hopeless()) return;
  for (; next_due() < std::min(end_, time); scheduled_++) {
    tally_.error("a scheduled request could not be sent: all connections were busy");
  }
}

}  // namespace devlxd::bench
