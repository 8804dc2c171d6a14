#ifndef DEVLXD_GATE_RESPONSE_CACHE_H_
#define DEVLXD_GATE_RESPONSE_CACHE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gate/request_kind.h"
#include "identity/instance_table.h"

namespace devlxd {

// What JavaScript answers.
struct Response {
  std::string_view head;  // status line and headers, each with its CRLF, without Date and length
  std::string_view body;
  RequestKind kind = 0;
};

// Of the bytes of a response that is sent past uWebSockets, in one piece or not at all: Linux takes
// this much as one buffer.
constexpr size_t kLongestResponse = 4096;

// A response as it is sent.
struct ResponseBytes {
  std::string bytes;
  size_t date = 0;  // where its value begins
};
ResponseBytes bytes_of(const Response& response);

// Responses that JavaScript has given to the root of an instance, ready to be given again to
// the very same bytes until the instance changes. What a request means is not looked at: that the
// same bytes mean the same is all that has to be true.
class ResponseCache {
 public:
  static constexpr size_t kLongestRequest = 1024;

  // most: bytes kept for one instance; 0: nothing is
  explicit ResponseCache(size_t most) : most_(most) {}

  // Everything is forgotten.
  void set_most(size_t most) {
    most_ = most;
    of_slot_.clear();
  }

  struct Found {
    std::string_view response;  // with today's Date; empty when there is none
    bool closes = false;        // the connection ends after it
    RequestKind kind = 0;
  };

  // Valid until the next call.
  Found find(Slot slot, std::string_view request);

  // closes: whether the connection ends after the response
  void keep(Slot slot, std::string_view request, bool closes, const Response& response);

  // The instance has changed, or has gone.
  void forget(Slot slot);

 private:
  struct Answer {
    ResponseBytes response;
    bool closes = false;
    RequestKind kind = 0;
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  struct OfInstance {
    std::unordered_map<std::string, Answer, Hash, std::equal_to<>> answers;
    size_t bytes = 0;
  };

  size_t most_;
  std::vector<std::unique_ptr<OfInstance>> of_slot_;
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_RESPONSE_CACHE_H_
