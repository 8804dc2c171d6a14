#ifndef DEVLXD_GATE_REQUEST_COUNTS_H_
#define DEVLXD_GATE_REQUEST_COUNTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gate/histogram.h"
#include "gate/loop_clock.h"
#include "gate/request_head.h"
#include "gate/request_kind.h"
#include "uws/connection.h"

namespace devlxd {

// What becomes of guests' requests and how long they take, without a call of JavaScript.
class RequestCounts {
 public:
  explicit RequestCounts(LoopClock& clock) : clock_(clock) {}

  // Its answer is due from here on.
  void begun(Connection& connection) {
    if (connection.begun_at == 0) connection.begun_at = clock_.arrival();
  }

  void answered(Connection& connection) {
    if (connection.begun_at == 0) return;
    took_.add(LoopClock::now() - connection.begun_at);
    connection.begun_at = 0;
  }

  void answered_past_uws(Connection& connection, RequestKind kind) {
    begun(connection);
    answered(connection);
    if (kind >= past_uws_.size()) past_uws_.resize(kind + 1);
    past_uws_[kind]++;
  }

  // Answered without JavaScript, since it is no request.
  void refused(HeadOutcome why) { refused_.at(static_cast<size_t>(why))++; }

  const Histogram& took() const { return took_; }
  // Answered past uWebSockets, by RequestKind.
  const std::vector<uint64_t>& past_uws() const { return past_uws_; }
  uint64_t refused_for(HeadOutcome why) const { return refused_.at(static_cast<size_t>(why)); }

 private:
  LoopClock& clock_;
  Histogram took_;
  std::vector<uint64_t> past_uws_;
  std::array<uint64_t, static_cast<size_t>(HeadOutcome::kUnknownCoding) + 1> refused_ = {};
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_REQUEST_COUNTS_H_
