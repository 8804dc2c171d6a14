#ifndef DEVLXD_GATE_LOOP_CLOCK_H_
#define DEVLXD_GATE_LOOP_CLOCK_H_

#include <uv.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "os/uv_handle.h"

namespace devlxd {

// The turns of the event loop. It knows since when what is read in this one can have been waiting
// to be read: a guest waits while the loop does other work, which no clock that starts with the
// read would show.
class LoopClock {
 public:
  explicit LoopClock(uv_loop_t* loop) : loop_(loop) {
    prepare_.open(this, [loop](uv_prepare_t* prepare) { return uv_prepare_init(loop, prepare); });
    uv_prepare_start(prepare_.get(), [](uv_prepare_t* prepare) {
      static_cast<LoopClock*>(prepare->data)->before_poll();
    });
    prepare_.unref();
    before_poll();
    before_poll();
    longest_ = 0;
  }
  LoopClock(const LoopClock&) = delete;
  LoopClock& operator=(const LoopClock&) = delete;

  static uint64_t now() { return uv_hrtime(); }

  // The number of this turn; what the timers do belongs to the poll that follows.
  uint64_t turn() const { return turn_; }

  // Nanoseconds that the longest turn since the last call took, without what the loop slept in it.
  uint64_t take_longest() { return std::exchange(longest_, 0); }

  // Nanoseconds of now(): not before it, and not later than it came by more than a turn takes.
  uint64_t arrival() {
    if (arrival_ == 0) arrival_ = find_arrival();
    return arrival_;
  }

 private:
  // The loop is about to look what there is to read.
  struct Look {
    uint64_t at = 0;
    uint64_t idle = 0;  // how long the loop has slept until then, ever
  };

  // A poll that takes longer has slept.
  static constexpr uint64_t kNoSleep = 10'000;

  void before_poll() {
    last_ = this_;
    this_ = {now(), uv_metrics_idle_time(loop_)};
    arrival_ = 0;
    turn_++;
    const uint64_t slept = this_.idle - last_.idle;
    const uint64_t took = this_.at - last_.at;
    if (took > slept) longest_ = std::max(longest_, took - slept);
  }

  // What wakes the loop has just come. What is there without a sleep may have come at any time
  // since the last look returned.
  uint64_t find_arrival() const {
    const uint64_t slept = uv_metrics_idle_time(loop_) - this_.idle;
    if (slept > kNoSleep) return this_.at + slept;
    return last_.at + (this_.idle - last_.idle);
  }

  uv_loop_t* loop_;
  UvHandle<uv_prepare_t> prepare_;
  Look last_;
  Look this_;
  uint64_t turn_ = 0;
  uint64_t longest_ = 0;
  uint64_t arrival_ = 0;  // 0: not found yet
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_LOOP_CLOCK_H_
