#ifndef DEVLXD_FUZZ_STEPS_H_
#define DEVLXD_FUZZ_STEPS_H_

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace devlxd::fuzz {

// Reads an input as what to do in turn: numbers and pieces of text, zeroes and nothing at its end.
class Steps {
 public:
  Steps(const uint8_t* data, size_t size) : left_(reinterpret_cast<const char*>(data), size) {}

  bool done() const { return left_.empty(); }

  unsigned number() {
    if (left_.empty()) return 0;
    const auto value = static_cast<unsigned char>(left_[0]);
    left_.remove_prefix(1);
    return value;
  }

  std::string_view text(size_t length) {
    const std::string_view piece = left_.substr(0, length);
    left_.remove_prefix(piece.size());
    return piece;
  }

 private:
  std::string_view left_;
};

}  // namespace devlxd::fuzz

#endif  // DEVLXD_FUZZ_STEPS_H_
