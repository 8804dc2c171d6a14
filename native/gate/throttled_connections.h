#ifndef DEVLXD_GATE_THROTTLED_CONNECTIONS_H_
#define DEVLXD_GATE_THROTTLED_CONNECTIONS_H_

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <vector>

#include "gate/payer.h"
#include "uws/connection.h"

namespace devlxd {

// Connections whose payer must wait: first come, first served, but what was read comes before what
// was not, so that little is held in memory.
class ThrottledConnections {
 public:
  void add_read(Payer payer, Connection& connection) {
    waiting_[payer].read.push_back(&connection);
  }
  void add_unread(Payer payer, Connection& connection) {
    waiting_[payer].unread.push_back(&connection);
  }

  void remove(Payer payer, Connection& connection) {
    const auto found = waiting_.find(payer);
    if (found == waiting_.end()) return;
    Waiting& waiting = found->second;
    if (std::erase(waiting.read, &connection) == 0) std::erase(waiting.unread, &connection);
    if (waiting.read.empty() && waiting.unread.empty()) waiting_.erase(found);
  }

  // The next one of a payer; null: none waits.
  Connection* next(Payer payer) const {
    const auto found = waiting_.find(payer);
    if (found == waiting_.end()) return nullptr;
    const Waiting& waiting = found->second;
    return waiting.read.empty() ? waiting.unread.front() : waiting.read.front();
  }

  // Does this one still wait? It is not looked at.
  bool has(Payer payer, const Connection* connection) const {
    const auto found = waiting_.find(payer);
    return found != waiting_.end() &&
           std::ranges::find(found->second.read, connection) != found->second.read.end();
  }

  // Of which something was read. A copy, as payers() is: what goes on changes this.
  std::vector<Connection*> read_of(Payer payer) const {
    const auto found = waiting_.find(payer);
    if (found == waiting_.end()) return {};
    return {found->second.read.begin(), found->second.read.end()};
  }

  std::vector<Payer> payers() const {
    std::vector<Payer> payers;
    payers.reserve(waiting_.size());
    for (const auto& [payer, waiting] : waiting_) payers.push_back(payer);
    return payers;
  }

  bool empty() const { return waiting_.empty(); }

 private:
  struct Waiting {
    std::deque<Connection*> read;
    std::deque<Connection*> unread;
  };

  std::unordered_map<Payer, Waiting> waiting_;
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_THROTTLED_CONNECTIONS_H_
