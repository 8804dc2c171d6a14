#ifndef DEVLXD_BENCH_HOLDER_H_
#define DEVLXD_BENCH_HOLDER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "answer_parser.h"
#include "load_options.h"
#include "os/own_fd.h"
#include "tally.h"
#include "websocket.h"

namespace devlxd::bench {

struct HoldResult {
  uint64_t held = 0;
  double seconds = 0;  // until all of them were
  uint64_t messages = 0;
  uint64_t message_bytes = 0;  // of event frames and pings
  uint64_t pings = 0;
  uint64_t first_message = 0;  // CLOCK_MONOTONIC, nanoseconds; 0: none came
  uint64_t last_message = 0;
};

// As a line of JSON on standard output.
void print_result(const HoldResult& result, const Tally& tally);

// Opens many connections, asks once on each and keeps them.
class Holder {
 public:
  // Gives the connection of that number, non-blocking. EAGAIN: not yet.
  using Connect = std::function<OwnFd(uint64_t index, Failure& failure)>;

  Holder(const LoadOptions& options, Connect connect, Tally& tally);

  // Prints "held N" when every connection is held or has failed, "heard N" when as many messages
  // have come as are held. A byte on standard input makes it forget the messages and print
  // "forgot"; returns when that ends.
  HoldResult run();

 private:
  struct Connection {
    OwnFd fd;
    AnswerParser answer;
    FrameReader frames;
    bool held = false;
  };

  bool is_settled() const { return opened_ == connections_.size() && under_way_ == 0; }
  void announce_heard();
  void forget_messages();
  void open_some();
  bool open(uint64_t index);
  void wait();
  void receive(Connection& connection);
  void finish_answer(Connection& connection, std::string_view received, std::string_view rest);
  void take_messages(Connection& connection, std::string_view data);
  void lost(Connection& connection, std::string_view why);

  const LoadOptions& options_;
  const Connect connect_;
  const std::string request_;
  Tally& tally_;
  OwnFd epoll_;
  std::vector<Connection> connections_;
  std::vector<char> buffer_;
  uint64_t opened_ = 0;
  uint64_t under_way_ = 0;  // opened and not yet answered
  bool ended_ = false;
  bool heard_ = false;
  HoldResult result_;
};

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_HOLDER_H_
