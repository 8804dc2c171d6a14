#include "answer_parser.h"

#include <algorithm>
#include <charconv>

namespace devlxd::bench {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kProtocol = "HTTP/1.1 ";
constexpr size_t kMaxHead = 64 * 1024;
constexpr size_t kMaxLine = 4096;

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

bool equals_ignoring_case(std::string_view text, std::string_view other) {
  return std::equal(text.begin(), text.end(), other.begin(), other.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// All of the text, as a number.
template <typename Number>
bool parse(std::string_view text, Number& number, int base) {
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(end - text.size(), end, number, base);
  return problem == std::errc() && stop == end;
}

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

void AnswerParser::restart() {
  state_ = State::kHead;
  head_.clear();
  line_.clear();
  status_ = 0;
  chunked_ = false;
  length_.reset();
  left_ = body_bytes_ = bytes_ = 0;
  equal_so_far_ = true;
}

bool AnswerParser::body_matches() const {
  return expected_body_ == nullptr || (equal_so_far_ && body_bytes_ == expected_body_->size());
}

AnswerParser::Outcome AnswerParser::feed(std::string_view& data) {
  while (state_ != State::kDone && state_ != State::kBroken) {
    if (data.empty()) return Outcome::kMore;
    const size_t before = data.size();
    state_ = step(data);
    bytes_ += before - data.size();
  }
  return state_ == State::kDone ? Outcome::kDone : Outcome::kBroken;
}

AnswerParser::State AnswerParser::step(std::string_view& data) {
  switch (state_) {
    case State::kHead:
      return take_head(data);
    case State::kSized:
      return take_body(data, State::kDone);
    case State::kChunkSize:
      return take_chunk_size(data);
    case State::kChunk:
      return take_body(data, State::kChunkEnd);
    case State::kChunkEnd: {
      const auto line = take_line(data);
      if (!line) return without_line();
      return line->empty() ? State::kChunkSize : State::kBroken;
    }
    case State::kTrailers:
      return take_trailer(data);
    default:
      return state_;
  }
}

AnswerParser::State AnswerParser::take_head(std::string_view& data) {
  if (head_.empty()) {  // nearly always all of it is here: read where it lies
    const size_t end = data.find(kHeadEnd);
    if (end != std::string_view::npos) {
      const std::string_view head = data.substr(0, end + kLineEnd.size());
      data.remove_prefix(end + kHeadEnd.size());
      return read_head(head);
    }
  }
  const size_t known = head_.size();
  const size_t from = known < kHeadEnd.size() ? 0 : known - kHeadEnd.size() + 1;
  head_.append(data);
  const size_t end = head_.find(kHeadEnd, from);
  if (end == std::string::npos) {
    data = {};
    return head_.size() > kMaxHead ? State::kBroken : State::kHead;
  }
  data.remove_prefix(end + kHeadEnd.size() - known);
  return read_head(std::string_view(head_).substr(0, end + kLineEnd.size()));
}

AnswerParser::State AnswerParser::read_head(std::string_view head) {
  const size_t digits = kProtocol.size();
  if (!head.starts_with(kProtocol) || head.size() < digits + 3) return State::kBroken;
  if (!parse(head.substr(digits, 3), status_, 10) || status_ < 100) return State::kBroken;
  for (size_t end; (end = head.find(kLineEnd)) != std::string_view::npos;) {
    if (!read_field(head.substr(0, end))) return State::kBroken;
    head.remove_prefix(end + kLineEnd.size());
  }
  if (has_no_body(status_)) return State::kDone;
  if (chunked_) return State::kChunkSize;
  // A body that ends with the connection is nothing that a client could trust.
  if (!length_) return State::kBroken;
  left_ = *length_;
  return left_ == 0 ? State::kDone : State::kSized;
}

bool AnswerParser::read_field(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return line.starts_with(kProtocol);
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (equals_ignoring_case(name, "transfer-encoding")) {
    chunked_ = equals_ignoring_case(value, "chunked");
    return chunked_;
  }
  if (!equals_ignoring_case(name, "content-length")) return true;
  uint64_t length = 0;
  if (length_ || !parse(value, length, 10)) return false;
  length_ = length;
  return true;
}

AnswerParser::State AnswerParser::take_chunk_size(std::string_view& data) {
  const auto line = take_line(data);
  if (!line) return without_line();
  const std::string_view size = trimmed(line->substr(0, line->find(';')));
  if (!parse(size, left_, 16)) return State::kBroken;
  return left_ == 0 ? State::kTrailers : State::kChunk;
}

AnswerParser::State AnswerParser::take_trailer(std::string_view& data) {
  const auto line = take_line(data);
  if (!line) return without_line();
  return line->empty() ? State::kDone : State::kTrailers;
}

AnswerParser::State AnswerParser::take_body(std::string_view& data, State after) {
  const std::string_view piece = data.substr(0, std::min<uint64_t>(left_, data.size()));
  if (expected_body_ != nullptr && equal_so_far_) {
    const std::string_view expected = *expected_body_;
    equal_so_far_ =
        body_bytes_ <= expected.size() && expected.substr(body_bytes_, piece.size()) == piece;
  }
  data.remove_prefix(piece.size());
  body_bytes_ += piece.size();
  left_ -= piece.size();
  return left_ == 0 ? after : state_;
}

// More of it must come, unless it is too long or ends as no line does.
AnswerParser::State AnswerParser::without_line() const {
  return line_.size() > kMaxLine || line_.ends_with('\n') ? State::kBroken : state_;
}

// A line that was cut lies in line_ until the next call; so does the one that is given.
std::optional<std::string_view> AnswerParser::take_line(std::string_view& data) {
  if (line_.ends_with('\n')) line_.clear();  // given the last time
  const size_t end = data.find('\n');
  line_.append(data.substr(0, end == std::string_view::npos ? end : end + 1));
  data.remove_prefix(end == std::string_view::npos ? data.size() : end + 1);
  if (!line_.ends_with(kLineEnd)) return std::nullopt;
  return std::string_view(line_).substr(0, line_.size() - kLineEnd.size());
}

}  // namespace devlxd::bench
