#ifndef DEVLXD_BENCH_REQUEST_LOAD_H_
#define DEVLXD_BENCH_REQUEST_LOAD_H_

#include <sys/un.h>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "answer_parser.h"
#include "histogram.h"
#include "known_answer.h"
#include "load_options.h"
#include "os/own_fd.h"
#include "tally.h"

namespace devlxd::bench {

struct LoadResult {
  uint64_t requests = 0;  // answered rightly in the measured time
  double seconds = 0;
  double busy = 0;            // the part of a core that the load itself has used
  uint64_t answer_bytes = 0;  // head and body of one of them
  Histogram nanoseconds;
};

// Requests over and over, closed or open loop. One thread.
class RequestLoad {
 public:
  RequestLoad(const LoadOptions& options, const sockaddr_un& address, Tally& tally);

  // Warms up, measures, and waits for the answers that are under way then. A closed loop measures
  // the answers that come within the time, an open one the requests that are scheduled in it.
  const LoadResult& run();

 private:
  struct Connection {
    OwnFd fd;
    AnswerParser answer;
    uint64_t began = 0;  // when it was sent, or scheduled
    bool busy = false;
  };

  bool is_open_loop() const { return interval_ > 0; }
  uint64_t next_due() const;
  bool all_scheduled() const;
  bool finished(uint64_t time) const;
  void begin_due(uint64_t time);
  void begin(Connection& connection, uint64_t due);
  uint64_t index_of(const Connection& connection) const;
  bool open(Connection& connection);
  void wait();
  int64_t patience(uint64_t time) const;
  void receive(Connection& connection);
  void judge(Connection& connection, std::string_view received);
  void right(Connection& connection, uint64_t bytes);
  void answered(Connection& connection, uint64_t time);
  void failed(Connection& connection);
  void record(const Connection& connection, uint64_t time, uint64_t bytes);
  void time_out(uint64_t time);

  const LoadOptions& options_;
  const sockaddr_un address_;
  std::string request_;
  Tally& tally_;
  OwnFd epoll_;
  std::vector<Connection> connections_;
  std::deque<Connection*> idle_;      // the connection idle longest asks next
  std::vector<Connection*> waiting_;  // could not connect; tried again in a moment
  std::vector<char> buffer_;
  KnownAnswer namespace_cache_;
  uint64_t began_ = 0;
  uint64_t measured_from_ = 0;
  uint64_t end_ = 0;
  double interval_ = 0;     // nanoseconds between two scheduled requests; 0: closed loop
  uint64_t scheduled_ = 0;  // requests that were begun
  uint64_t under_way_ = 0;
  LoadResult result_;
};

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_REQUEST_LOAD_H_
