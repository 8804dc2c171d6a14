#ifndef DEVLXD_GATE_TURN_SHARES_H_
#define DEVLXD_GATE_TURN_SHARES_H_

#include <algorithm>
#include <cstdint>

#include "gate/payer.h"

namespace devlxd {

// How long one payer may keep the others waiting in one turn of the event loop, however full its
// bucket is. By the clock, so that it holds for work of any kind, whatever is charged for it.
class TurnShares {
 public:
  // Nanoseconds: of all payers together that would take more, and the least that one of them gets.
  static constexpr uint64_t kOfAll = 2'000'000;
  static constexpr uint64_t kLeast = 100'000;

  // turn: LoopClock's
  bool has_left(Payer payer, uint64_t turn) {
    begin(turn);
    const Share& share = shares_[payer];
    return share.turn != turn || share.spent < most_;
  }

  void spend(Payer payer, uint64_t turn, uint64_t nanoseconds) {
    begin(turn);
    Share& share = shares_[payer];
    if (share.turn != turn) share = {.turn = turn};
    const bool had_left = share.spent < most_;
    share.spent += nanoseconds;
    if (had_left && share.spent >= most_) used_up_++;
  }

 private:
  struct Share {
    uint64_t turn = 0;
    uint64_t spent = 0;  // in that turn
  };

  // As many as have used up their shares in the last turn will do so in this one.
  void begin(uint64_t turn) {
    if (turn == turn_) return;
    const uint64_t rivals = turn == turn_ + 1 ? std::max(used_up_, uint64_t{1}) : 1;
    most_ = std::max(kOfAll / rivals, kLeast);
    used_up_ = 0;
    turn_ = turn;
  }

  PerPayer<Share> shares_;
  uint64_t turn_ = 0;
  uint64_t most_ = kOfAll;
  uint64_t used_up_ = 0;  // how many payers have, in this turn
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_TURN_SHARES_H_
