// What listeners send on their WebSockets: nothing, as far as the guest API is concerned.
// uWebSockets calls JavaScript for whole messages, pings and pongs only, so the other frames are
// bounded by their bytes, before they are looked at.
#include "gate/gate.h"

namespace devlxd {
namespace {

constexpr uint64_t kWindowMilliseconds = 1000;

// A ping with the longest payload, and its mask (RFC 6455, 5.2 and 5.5).
constexpr size_t kLongestPing = 131;

}  // namespace

void Gate::watch_frames(void* socket, Slot slot) {
  const int fd = bridge_.watch_frames(socket);
  if (fd < 0) return;
  const auto at = static_cast<size_t>(fd);
  if (at >= sent_frames_.size()) sent_frames_.resize(at + 1);
  sent_frames_[at] = {.slot = slot};
}

void Gate::forget_frames(int fd) {
  const auto at = static_cast<size_t>(fd);
  if (at < sent_frames_.size()) sent_frames_[at].slot = kNoSlot;
}

// False: the listener is dropped.
bool Gate::take_frames(int fd, size_t bytes) {
  const auto at = static_cast<size_t>(fd);
  if (at >= sent_frames_.size()) return true;
  SentFrames& sent = sent_frames_[at];
  if (sent.slot != kNoSlot) charge(sent.slot, static_cast<double>(bytes) / kBytesPerToken);
  const uint64_t now = uv_now(loop_);
  if (now >= sent.ends_at) sent = {.slot = sent.slot, .ends_at = now + kWindowMilliseconds};
  sent.bytes += bytes;
  const size_t most = limits_.numbers[Limit::kWebsocketFrames] * kLongestPing;
  if (most == 0 || sent.bytes <= most) return true;
  count_hit(Limit::kWebsocketFrames, sent.slot);
  return false;
}

}  // namespace devlxd
