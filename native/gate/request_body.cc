#include "gate/request_body.h"

#include <algorithm>
#include <cstdio>

namespace devlxd {
namespace {

// Of a size line with its extensions, and of all trailers. Both are read and dropped.
constexpr uint16_t kLongestFraming = 4096;

// 16 TB: far more than any body may have.
constexpr uint64_t kLargestChunk = uint64_t{1} << 44;

int digit_of(unsigned char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int lower = c | 0x20;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool is_control(unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; }

void append_chunk(std::string& out, std::string_view content) {
  char size[20];
  const int length = snprintf(size, sizeof size, "%zx\r\n", content.size());
  out.append(size, static_cast<size_t>(length)).append(content).append("\r\n");
}

}  // namespace

RequestBody RequestBody::of_length(uint64_t bytes) {
  RequestBody body;
  body.left_ = bytes;
  body.part_ = bytes == 0 ? Part::kEnd : Part::kLength;
  return body;
}

RequestBody RequestBody::in_chunks() {
  RequestBody body;
  body.part_ = Part::kSize;
  return body;
}

bool RequestBody::take(std::string_view& data, std::string& out) {
  if (part_ == Part::kLength) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(left_, data.size()));
    out.append(data.substr(0, size));
    data.remove_prefix(size);
    left_ -= size;
    if (left_ == 0) part_ = Part::kEnd;
    return true;
  }
  std::string content;
  if (!take_chunks(data, content)) return false;
  if (!content.empty()) append_chunk(out, content);
  if (ended()) out.append("0\r\n\r\n");
  return true;
}

bool RequestBody::take_chunks(std::string_view& data, std::string& content) {
  while (!data.empty() && !ended()) {
    if (part_ == Part::kData) {
      const auto size = static_cast<size_t>(std::min<uint64_t>(left_, data.size()));
      content.append(data.substr(0, size));
      data.remove_prefix(size);
      left_ -= size;
      if (left_ == 0) part_ = Part::kDataReturn;
    } else {
      if (!take_framing(static_cast<unsigned char>(data[0]))) return false;
      data.remove_prefix(1);
    }
  }
  return true;
}

bool RequestBody::take_framing(unsigned char c) {
  const auto expect = [this, c](char expected, Part next) {
    part_ = next;
    return c == static_cast<unsigned char>(expected);
  };
  switch (part_) {
    case Part::kSize:
    case Part::kExtension:
      return take_size(c);
    case Part::kSizeLineFeed:
      return c == '\n' && end_size();
    case Part::kDataReturn:
      return expect('\r', Part::kDataLineFeed);
    case Part::kDataLineFeed:
      left_ = framing_ = 0;
      return expect('\n', Part::kSize);
    case Part::kTrailer:
      if (c == '\r') return expect('\r', Part::kLastLineFeed);
      [[fallthrough]];
    case Part::kTrailerLine:
      part_ = c == '\r' ? Part::kTrailerLineFeed : Part::kTrailerLine;
      return ++framing_ <= kLongestFraming && (c == '\r' || !is_control(c));
    case Part::kTrailerLineFeed:
      return expect('\n', Part::kTrailer);
    case Part::kLastLineFeed:
      return expect('\n', Part::kEnd);
    default:
      return false;
  }
}

bool RequestBody::take_size(unsigned char c) {
  if (++framing_ > kLongestFraming) return false;
  if (c == '\r') {
    part_ = Part::kSizeLineFeed;
    return framing_ > 1;
  }
  if (part_ == Part::kExtension) return !is_control(c);
  if (c == ';') {
    part_ = Part::kExtension;
    return framing_ > 1;
  }
  const int digit = digit_of(c);
  if (digit < 0) return false;
  left_ = left_ * 16 + static_cast<uint64_t>(digit);
  return left_ <= kLargestChunk;
}

bool RequestBody::end_size() {
  part_ = left_ == 0 ? Part::kTrailer : Part::kData;
  framing_ = 0;
  return true;
}

}  // namespace devlxd
