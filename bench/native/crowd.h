#ifndef DEVLXD_BENCH_CROWD_H_
#define DEVLXD_BENCH_CROWD_H_

#include <sys/types.h>
#include <sys/un.h>

#include <cstddef>
#include <string>
#include <vector>

#include "os/kernel.h"
#include "os/own_fd.h"
#include "visit.h"

namespace devlxd::bench {

// Guests that wait, each in user and pid namespaces of its own, and visit a server all at once.
class Crowd {
 public:
  // They visit the server for paths, at most kMostRequests.
  Crowd(const sockaddr_un& address, std::vector<std::string> paths)
      : address_(address), paths_(std::move(paths)) {}
  ~Crowd();
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // What went wrong, or nothing. Does not return in the guests.
  std::string spawn(size_t count);
  std::vector<pid_t> pids() const;

  // A connection of that guest to the server, non-blocking.
  OwnFd connect(size_t guest, Failure& failure);

  // Sends them all off and waits for all of them. False when one does not come back.
  bool storm();
  // Of each guest, after storm().
  const Outcome& outcome(size_t guest) const { return outcomes_[guest]; }
  size_t size() const { return guests_.size(); }

 private:
  struct Guest {
    pid_t pid;
    OwnFd socket;
  };

  [[noreturn]] void live(int socket, Outcome& outcome) const;
  void hand_over(int socket) const;

  const sockaddr_un address_;
  const std::vector<std::string> paths_;
  std::vector<Guest> guests_;
  Outcome* outcomes_ = nullptr;  // shared with the guests
  size_t reserved_ = 0;
};

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_CROWD_H_
