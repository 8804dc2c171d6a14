#include "websocket.h"

#include <algorithm>

namespace devlxd::bench {
namespace {

// RFC 6455, section 5.2.
constexpr uint8_t kFinal = 0x80;
constexpr uint8_t kMasked = 0x80;
constexpr uint8_t kText = 0x1;
constexpr uint8_t kBinary = 0x2;
constexpr uint8_t kClose = 0x8;
constexpr uint8_t kPing = 0x9;
constexpr uint8_t kPong = 0xa;
constexpr uint8_t kLength16 = 126;
constexpr uint8_t kLength64 = 127;
constexpr size_t kMaxControlPayload = 125;

void append_big_endian(std::string& to, uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    to += static_cast<char>(value >> shift);
  }
}

uint8_t byte_at(std::string_view text, size_t index) { return static_cast<uint8_t>(text[index]); }

size_t length_bytes(uint8_t length) {
  if (length == kLength16) return 2;
  return length == kLength64 ? 8 : 0;
}

// Of a whole head.
uint64_t payload_length(std::string_view head) {
  if (head.size() == 2) return byte_at(head, 1);
  uint64_t length = 0;
  for (size_t i = 2; i < head.size(); i++) length = length << 8 | byte_at(head, i);
  return length;
}

FrameReader::Frame kind_of(uint8_t opcode) {
  switch (opcode) {
    case kText:
    case kBinary:
      return FrameReader::Frame::kMessage;
    case kPing:
      return FrameReader::Frame::kPing;
    case kClose:
      return FrameReader::Frame::kClose;
    default:
      return FrameReader::Frame::kOther;
  }
}

}  // namespace

std::string text_frame(std::string_view payload) {
  std::string frame(1, static_cast<char>(kFinal | kText));
  if (payload.size() < kLength16) {
    frame += static_cast<char>(payload.size());
  } else if (payload.size() <= UINT16_MAX) {
    frame += static_cast<char>(kLength16);
    append_big_endian(frame, payload.size(), 2);
  } else {
    frame += static_cast<char>(kLength64);
    append_big_endian(frame, payload.size(), 8);
  }
  return frame.append(payload);
}

std::string pong_frame(std::string_view payload) {
  constexpr char kNoMask[4] = {};  // masking with zeros leaves the payload as it is
  std::string frame(1, static_cast<char>(kFinal | kPong));
  frame += static_cast<char>(kMasked | payload.size());
  return frame.append(kNoMask, sizeof kNoMask).append(payload);
}

bool FrameReader::feed(std::string_view data, const OnFrame& on_frame) {
  while (!data.empty()) {
    if (!in_payload_ && !take_head(data)) return false;
    if (!in_payload_) return true;
    take_payload(data);
    if (left_ > 0) return true;
    in_payload_ = false;
    on_frame(kind_of(byte_at(head_, 0) & 0xf), ping_);
    head_.clear();
    ping_.clear();
  }
  return true;
}

bool FrameReader::take_head(std::string_view& data) {
  while (!data.empty()) {
    head_ += data.front();
    data.remove_prefix(1);
    if (head_.size() < 2) continue;
    const uint8_t length = byte_at(head_, 1);
    if ((length & kMasked) != 0) return false;  // a server never masks
    if (head_.size() < 2 + length_bytes(length)) continue;
    left_ = payload_length(head_);
    in_payload_ = true;
    return (byte_at(head_, 0) & kClose) == 0 || left_ <= kMaxControlPayload;
  }
  return true;
}

void FrameReader::take_payload(std::string_view& data) {
  const size_t taken = std::min<uint64_t>(left_, data.size());
  if ((byte_at(head_, 0) & 0xf) == kPing) ping_.append(data.substr(0, taken));
  data.remove_prefix(taken);
  left_ -= taken;
}

}  // namespace devlxd::bench
