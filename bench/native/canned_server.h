#ifndef DEVLXD_BENCH_CANNED_SERVER_H_
#define DEVLXD_BENCH_CANNED_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "doorman.h"
#include "os/kernel.h"
#include "os/own_fd.h"

namespace devlxd::bench {

// One thread, one epoll set, one answer to whatever is asked: what a server on this kernel cannot
// be faster than. A byte on standard input writes frame to every connection that was answered.
class CannedServer {
 public:
  CannedServer(OwnFd listening, Doorman::Care care, std::string answer, std::string frame);

  // Serves until standard input ends; prints "ready" when it begins.
  Failure run();

 private:
  struct Connection {
    OwnFd fd;
    size_t matched = 0;  // how much of the blank line that ends a request has come
    std::string unsent;  // what the socket did not take; nothing is read meanwhile
    bool answered = false;
  };

  Failure accept_all();
  void serve(int fd, uint32_t events);
  void read_requests(Connection& connection);
  void write_or_keep(Connection& connection, const std::string& bytes);
  void flush(Connection& connection);
  void wait_for(const Connection& connection, uint32_t events);
  void close_connection(Connection& connection);
  void broadcast();
  bool control_ended();

  OwnFd listening_;
  OwnFd epoll_;
  Doorman doorman_;
  std::string answer_;
  std::string frame_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by descriptor
  std::vector<char> buffer_;
};

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_CANNED_SERVER_H_
