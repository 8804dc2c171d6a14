#include "holder.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>

#include "sockets.h"

namespace devlxd::bench {
namespace {

constexpr uint64_t kControl = UINT64_MAX;  // the key of standard input in the epoll set
constexpr int kRetryMilliseconds = 1;      // until a full backlog is tried again
constexpr size_t kHolderBufferSize = 64 * 1024;
constexpr int kHolderMaxEvents = 512;

// Otherwise something was said.
bool input_ended() {
  char bytes[64];
  return read(STDIN_FILENO, bytes, sizeof bytes) <= 0;
}

}  // namespace

void print_result(const HoldResult& result, const Tally& tally) {
  printf(
      "{\"held\":%lu,\"seconds\":%.6f,\"errors\":%lu,\"mismatches\":%lu,\"messages\":%lu,"
      "\"messageBytes\":%lu,"
      "\"pings\":%lu,\"firstMessageNanoseconds\":%lu,\"lastMessageNanoseconds\":%lu}\n",
      result.held, result.seconds, tally.errors(), tally.mismatches(), result.messages,
      result.message_bytes, result.pings, result.first_message, result.last_message);
}

Holder::Holder(const LoadOptions& options, Connect connect, Tally& tally)
    : options_(options),
      connect_(std::move(connect)),
      request_(options.request()),
      tally_(tally),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      buffer_(kHolderBufferSize) {
  for (uint64_t i = 0; i < options.hold; i++) {
    connections_.push_back({OwnFd(), AnswerParser(options.body()), FrameReader(), false});
  }
}

HoldResult Holder::run() {
  Failure failure;
  if (!watch(epoll_.get(), STDIN_FILENO, kControl, EPOLLIN, failure)) {
    tally_.error(failure);
    return result_;
  }
  const uint64_t began = now();
  while (!is_settled() && !ended_ && !tally_.hopeless()) {
    open_some();
    if (!is_settled()) wait();
  }
  result_.seconds = static_cast<double>(now() - began) / 1e9;
  printf("held %lu\n", result_.held);
  fflush(stdout);
  while (!ended_) {
    wait();
    announce_heard();
  }
  return result_;
}

void Holder::announce_heard() {
  if (heard_ || result_.messages == 0 || result_.messages < result_.held) return;
  heard_ = true;
  printf("heard %lu\n", result_.messages);
  fflush(stdout);
}

void Holder::forget_messages() {
  result_.messages = result_.message_bytes = 0;
  result_.first_message = result_.last_message = 0;
  heard_ = false;
  puts("forgot");
  fflush(stdout);
}

void Holder::open_some() {
  while (opened_ < connections_.size() && under_way_ < options_.connections) {
    if (!open(opened_)) return;
    opened_++;
  }
}

// False when the backlog is full; any other failure is counted and done with.
bool Holder::open(uint64_t index) {
  Failure failure;
  OwnFd fd = connect_(index, failure);
  if (failure.code == EAGAIN) return false;
  if (!fd.valid() || !watch(epoll_.get(), fd.get(), index, EPOLLIN, failure)) {
    tally_.error(failure);
    return true;
  }
  if (send(fd.get(), request_.data(), request_.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request_.size())) {
    tally_.error(Failure{"send", errno});
    return true;
  }
  connections_[index].fd = std::move(fd);
  under_way_++;
  return true;
}

void Holder::wait() {
  epoll_event events[kHolderMaxEvents];
  const bool retries = opened_ < connections_.size() && under_way_ < options_.connections;
  const int count =
      epoll_wait(epoll_.get(), events, kHolderMaxEvents, retries ? kRetryMilliseconds : -1);
  for (int i = 0; i < count; i++) {
    if (events[i].data.u64 != kControl) {
      receive(connections_[events[i].data.u64]);
    } else {
      ended_ = input_ended();
      if (!ended_) forget_messages();
    }
  }
}

void Holder::receive(Connection& connection) {
  if (!connection.fd.valid()) return;  // closed earlier in this turn
  const ssize_t size = read(connection.fd.get(), buffer_.data(), buffer_.size());
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return lost(connection, "a connection was closed by the server");
  const std::string_view received(buffer_.data(), size);
  if (connection.held) return take_messages(connection, received);
  std::string_view rest = received;
  switch (connection.answer.feed(rest)) {
    case AnswerParser::Outcome::kMore:
      return;
    case AnswerParser::Outcome::kBroken:
      return lost(connection, "what came is no HTTP answer");
    case AnswerParser::Outcome::kDone:
      return finish_answer(connection, received, rest);
  }
}

void Holder::finish_answer(Connection& connection, std::string_view received,
                           std::string_view rest) {
  under_way_--;
  if (connection.answer.status() != options_.status() || !connection.answer.body_matches()) {
    tally_.mismatch(connection.answer, received);
    connection.fd.reset();
    return;
  }
  connection.held = true;
  result_.held++;
  if (!rest.empty()) take_messages(connection, rest);
}

void Holder::take_messages(Connection& connection, std::string_view data) {
  bool closes = false;
  result_.message_bytes += data.size();
  const bool understood =
      options_.upgrade &&
      connection.frames.feed(data, [&](FrameReader::Frame frame, std::string_view payload) {
        if (frame == FrameReader::Frame::kMessage) {
          result_.messages++;
          result_.last_message = now();
          if (result_.first_message == 0) result_.first_message = result_.last_message;
        } else if (frame == FrameReader::Frame::kPing) {
          result_.pings++;
          const std::string pong = pong_frame(payload);
          send(connection.fd.get(), pong.data(), pong.size(), MSG_NOSIGNAL);
        }
        closes = closes || frame == FrameReader::Frame::kClose;
      });
  if (!understood) return lost(connection, "what came is no WebSocket frame of a server");
  if (closes) lost(connection, "a WebSocket was closed by the server");
}

void Holder::lost(Connection& connection, std::string_view why) {
  tally_.error(why);
  connection.fd.reset();
  if (!connection.held) under_way_--;
}

}  // namespace devlxd::bench
