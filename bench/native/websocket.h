#ifndef DEVLXD_BENCH_WEBSOCKET_H_
#define DEVLXD_BENCH_WEBSOCKET_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace devlxd::bench {

// The example of RFC 6455, section 1.3: every client here sends the key, so every server that is
// right answers with the other, and an answer can be canned.
constexpr const char* kWebSocketKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr const char* kWebSocketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

// A text message as a server sends it: one frame, not masked.
std::string text_frame(std::string_view payload);

// The answer to a ping, as a client sends it. payload: at most 125 bytes.
std::string pong_frame(std::string_view payload);

// Takes the frames of a server out of a stream of bytes, however they are cut.
class FrameReader {
 public:
  enum class Frame { kMessage, kPing, kClose, kOther };
  // payload: only of a ping
  using OnFrame = std::function<void(Frame frame, std::string_view payload)>;

  // False when these bytes cannot come from a WebSocket server.
  bool feed(std::string_view data, const OnFrame& on_frame);

 private:
  bool take_head(std::string_view& data);
  void take_payload(std::string_view& data);

  std::string head_;
  std::string ping_;
  uint64_t left_ = 0;  // bytes of the payload that are still to come
  bool in_payload_ = false;
};

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_WEBSOCKET_H_
