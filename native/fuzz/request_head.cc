// native/gate/request_head.cc against a reader of its own that sees one byte after the other, on
// the whole input and on every beginning of it: whatever pieces a head comes in, what the gate
// looks at is a beginning.
#include "gate/request_head.h"

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "fuzz/require.h"

namespace {

using devlxd::has_whole_line;
using devlxd::is_plain_request;
using devlxd::is_repeatable_request;

// What a beginning of some length says.
class Reader {
 public:
  void take(char c) {
    if (decided()) return;
    if (c != '\n') {
      line_ += c;
    } else {
      end_line();
      line_.clear();
    }
  }

  bool refused() const { return refused_; }
  bool decided() const { return refused_ || whole_; }
  bool has_line() const { return lines_ > 0; }

 private:
  void end_line() {
    const bool crlf = !line_.empty() && line_.back() == '\r';
    if (crlf) line_.pop_back();
    if (!crlf || (lines_ == 0 && !is_request_line())) {
      refused_ = true;
    } else if (lines_ > 0 && line_.empty()) {
      whole_ = true;
      refused_ = !host_;
    } else if (lines_ > 0) {
      host_ = host_ || names_host();
    }
    lines_++;
  }

  bool is_request_line() const {
    const std::string version = " HTTP/1.1";
    if (line_.size() < version.size()) return false;
    if (line_.compare(line_.size() - version.size(), version.size(), version) != 0) return false;
    for (size_t i = 0; i + 1 < line_.size(); i++) {
      if (line_[i] == ' ') return line_[i + 1] == '/';
    }
    return false;
  }

  bool names_host() const {
    std::string name;
    for (size_t i = 0; i < line_.size() && i < 5; i++) {
      const bool letter = line_[i] >= 'A' && line_[i] <= 'Z';
      name += static_cast<char>(letter ? line_[i] - 'A' + 'a' : line_[i]);
    }
    return name == "host:";
  }

  std::string line_;
  size_t lines_ = 0;
  bool host_ = false;
  bool whole_ = false;
  bool refused_ = false;
};

void check_beginnings(std::string_view data) {
  Reader reader;
  for (size_t length = 0; length <= data.size(); length++) {
    if (length > 0) reader.take(data[length - 1]);
    const std::string_view beginning = data.substr(0, length);
    REQUIRE(has_whole_line(beginning) == reader.has_line());
    REQUIRE(is_plain_request(beginning) == !reader.refused());
    REQUIRE(!is_repeatable_request(beginning) || length == data.size() ||
            !is_repeatable_request(data));
  }
}

// As the gate takes pieces: together until there is a line, then looked at, once. Each time a copy
// of exactly the size, so that a byte read beyond is seen.
bool is_plain_in_pieces(std::string_view data, std::minstd_rand& random) {
  std::vector<char> held;
  for (size_t at = 0; at < data.size();) {
    const std::string_view piece = data.substr(at, 1 + random() % (data.size() / 2 + 1));
    at += piece.size();
    std::vector<char> together;
    together.reserve(held.size() + piece.size());
    together.insert(together.end(), held.begin(), held.end());
    together.insert(together.end(), piece.begin(), piece.end());
    held.swap(together);
    const std::string_view seen(held.data(), held.size());
    if (has_whole_line(seen)) return is_plain_request(seen);
  }
  return true;
}

void check_pieces(std::string_view data) {
  const size_t end = data.find('\n');
  const bool plain = is_plain_request(data);
  const bool line_is_plain =
      end == std::string_view::npos || is_plain_request(data.substr(0, end + 1));
  std::minstd_rand random(static_cast<unsigned>(std::hash<std::string_view>()(data)));
  for (int round = 0; round < 4; round++) {
    const bool in_pieces = is_plain_in_pieces(data, random);
    REQUIRE(in_pieces || !plain);
    REQUIRE(!in_pieces || line_is_plain);
  }
}

// The same question as is_repeatable_request(), asked of the text as a whole.
bool has_no_consequence(std::string_view data) {
  std::string text;
  for (const char c : data) text += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  const std::string harmless = "\nconnection: keep-alive\r\n";
  for (size_t at; (at = text.find(harmless)) != std::string::npos;) {
    text.erase(at, harmless.size() - 1);
  }
  for (const char* name :
       {"connection", "content-length", "transfer-encoding", "upgrade", "expect"}) {
    if (text.find(std::string("\n") + name + ":") != std::string::npos) return false;
  }
  return true;
}

void check_repeatable(std::string_view data) {
  const bool whole =
      data.substr(0, 4) == "GET " && data.size() >= 4 && data.find("\r\n\r\n") == data.size() - 4;
  REQUIRE(is_repeatable_request(data) == (whole && has_no_consequence(data)));
  REQUIRE(!whole || !is_repeatable_request(std::string(data).append(data)));
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view data(reinterpret_cast<const char*>(bytes), size);
  check_beginnings(data);
  check_pieces(data);
  check_repeatable(data);
  return 0;
}
