#include "gate/request_head.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "gate/head_bytes.h"

namespace devlxd {
namespace {

constexpr std::string_view kHttp11 = "HTTP/1.1";
constexpr std::string_view kHttp10 = "HTTP/1.0";
constexpr size_t kMostLengthDigits = 15;

bool is(std::string_view text, std::string_view lower) {
  const auto same = [](unsigned char given, char expected) { return expected == tolower(given); };
  return std::ranges::equal(text, lower, same);
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// As uWebSockets reads a value: bytes beyond ASCII at its ends are spaces to it.
std::string_view trimmed_by_uws(std::string_view value) {
  const auto is_space = [](unsigned char c) { return c <= ' ' || c >= 0x80; };
  while (!value.empty() && is_space(value.front())) value.remove_prefix(1);
  while (!value.empty() && is_space(value.back())) value.remove_suffix(1);
  return value;
}

// Removes a line with its end from text; has_return: whether that is CRLF.
std::string_view take_line(std::string_view& text, bool& has_return) {
  const size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  has_return = line.ends_with('\r');
  if (has_return) line.remove_suffix(1);
  return line;
}

// The next element of a comma-separated list (RFC 9110, 5.6.1), empty ones left out.
std::optional<std::string_view> take_element(std::string_view& list) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    const std::string_view element = trimmed(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (!element.empty()) return element;
  }
  return std::nullopt;
}

struct RequestLine {
  std::string_view method;
  std::string_view target;
  std::string_view version;
};

std::optional<RequestLine> parse_line(std::string_view line) {
  const size_t first = line.find(' ');
  const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const RequestLine parsed = {line.substr(0, first), line.substr(first + 1, second - first - 1),
                              line.substr(second + 1)};
  const bool known = parsed.version == kHttp11 || parsed.version == kHttp10;
  if (!known || !consists_of(parsed.method, kToken) || !consists_of(parsed.target, kTarget) ||
      parsed.method.empty() || parsed.target.empty()) {
    return std::nullopt;
  }
  return parsed;
}

// Path and query of a target in whatever form (RFC 9112, 3.2); nothing: it has none. In the form of
// an asterisk it is a path that does not exist.
std::optional<std::string> origin_form(std::string_view target) {
  if (target.starts_with('/')) return std::string(target);
  if (target == "*") return "/*";
  const size_t scheme = target.find("://");
  if (scheme == std::string_view::npos || !isalpha(static_cast<unsigned char>(target[0])) ||
      target.substr(0, scheme).find_first_of("/?#") != std::string_view::npos) {
    return std::nullopt;
  }
  const size_t path = target.find_first_of("/?#", scheme + 3);
  if (path == std::string_view::npos) return "/";
  const std::string_view rest = target.substr(path);
  return rest.starts_with('/') ? std::string(rest) : std::string("/").append(rest);
}

// What header lines say about the request and the connection, one line after the other.
class HeaderReader {
 public:
  explicit HeaderReader(RequestHead& head) : head_(head) {}

  // False: it is no header, or contradicts another one.
  bool take(std::string_view line) {
    const size_t colon = line.find(':');
    if (colon == 0 || colon == std::string_view::npos) return false;
    const std::string_view name = line.substr(0, colon);
    const std::string_view field = line.substr(colon + 1);
    const std::string_view value = trimmed(field);
    has_space_ = has_space_ || field.size() > value.size() + 1 || field.ends_with(' ');
    has_other_name_ = has_other_name_ || !consists_of(name, kPlainName);
    return consists_of(name, kToken) && consists_of(field, kField) && take(name, value);
  }

  // False: where its body ends cannot be told.
  bool end(bool http10) {
    if (has_length_ && has_coding_) return false;
    if (has_coding_ && (http10 || !last_is_chunked_)) return false;
    if (has_coding_) head_.body = RequestBody::in_chunks();
    if (has_length_) head_.body = RequestBody::of_length(length_);
    return true;
  }

  bool has_unknown_coding() const { return has_unknown_coding_; }
  bool is_consequential() const {
    return has_length_ || has_coding_ || is_consequential_ || says_other_;
  }
  bool says_close() const { return says_close_; }
  bool says_keep_alive() const { return says_keep_alive_; }
  // uWebSockets closes a connection when the first Connection header has five letters.
  bool is_plain() const {
    return !has_space_ && !has_other_name_ && connections_ <= 1 &&
           (!says_close_ || says_only_close_) && !has_five_;
  }
  // Host and Connection may be added, the others are passed on.
  size_t others() const { return others_; }

 private:
  bool take(std::string_view name, std::string_view value) {
    if (is(name, "host")) return take_host();
    if (is(name, "connection")) return take_connection(value);
    others_++;
    if (is(name, "content-length")) return take_length(value);
    if (is(name, "transfer-encoding")) return take_coding(value);
    if (is(name, "upgrade") || is(name, "expect")) is_consequential_ = true;
    return true;
  }

  bool take_host() { return !std::exchange(head_.has_host, true); }

  bool take_length(std::string_view value) {
    if (value.empty() || value.size() > kMostLengthDigits) return false;
    uint64_t length = 0;
    for (const unsigned char c : value) {
      if (isdigit(c) == 0) return false;
      length = length * 10 + (c - '0');
    }
    if (has_length_ && length != length_) return false;
    has_length_ = true;
    length_ = length;
    return true;
  }

  bool take_coding(std::string_view value) {
    const auto first = take_element(value);
    if (!first) return false;
    for (auto coding = first; coding; coding = take_element(value)) {
      if (last_is_chunked_) return false;  // it must be the last
      last_is_chunked_ = is(*coding, "chunked");
      has_unknown_coding_ = has_unknown_coding_ || !last_is_chunked_;
    }
    has_coding_ = true;
    return true;
  }

  bool take_connection(std::string_view value) {
    connections_++;
    says_only_close_ = is(value, "close");
    has_five_ = trimmed_by_uws(value).size() == 5 && !says_only_close_;
    while (const auto option = take_element(value)) {
      if (is(*option, "close")) {
        says_close_ = true;
      } else if (is(*option, "keep-alive")) {
        says_keep_alive_ = true;
      } else {
        says_other_ = true;
      }
    }
    return true;
  }

  RequestHead& head_;
  uint64_t length_ = 0;
  size_t connections_ = 0;
  size_t others_ = 0;
  bool has_length_ = false;
  bool has_coding_ = false;
  bool last_is_chunked_ = false;
  bool has_unknown_coding_ = false;
  bool is_consequential_ = false;
  bool says_close_ = false;
  bool says_only_close_ = false;
  bool says_keep_alive_ = false;
  bool says_other_ = false;
  bool has_five_ = false;
  bool has_space_ = false;
  bool has_other_name_ = false;
};

// plain_head() writes these itself, or not at all: HTTP/1.0 knows no upgrade (RFC 9110, 7.8), and
// nothing that has another name is looked at.
bool is_left_out(std::string_view name, bool http10) {
  return !consists_of(name, kPlainName) || is(name, "connection") ||
         (http10 && (is(name, "upgrade") || is(name, "sec-websocket-key")));
}

}  // namespace

size_t head_length(std::string_view data, size_t& searched) {
  for (size_t end; (end = data.find('\n', searched)) != std::string_view::npos;
       searched = end + 1) {
    const std::string_view behind = data.substr(end + 1, 2);
    if (behind.starts_with('\n')) return end + 2;
    if (behind == "\r\n") return end + 3;
    if (behind.empty() || behind == "\r") {
      searched = end;
      return 0;
    }
  }
  searched = data.size();
  return 0;
}

bool is_request_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  const auto parsed = parse_line(line);
  return parsed && origin_form(parsed->target);
}

RequestHead read_head(std::string_view head) {
  RequestHead read;
  bool plain = true;
  const auto line = parse_line(take_line(head, plain));
  if (!line || !origin_form(line->target)) return read;
  const bool http10 = line->version == kHttp10;
  HeaderReader headers(read);
  for (bool has_return = true; !head.empty(); plain = plain && has_return) {
    const std::string_view header = take_line(head, has_return);
    if (header.empty()) {
      plain = plain && has_return;
      break;
    }
    if (!headers.take(header)) return read;
  }
  if (!headers.end(http10)) return read;
  read.closes = headers.says_close() || (http10 && !headers.says_keep_alive());
  if (http10) read.version = read.closes ? HttpVersion::kHttp10 : HttpVersion::kHttp10KeptAlive;
  read.is_repeatable = line->method == "GET" && !http10 && !headers.is_consequential();
  plain = plain && !http10 && line->target.starts_with('/') && read.has_host && headers.is_plain();
  read.outcome = plain ? HeadOutcome::kPlain : HeadOutcome::kOdd;
  if (headers.has_unknown_coding()) read.outcome = HeadOutcome::kUnknownCoding;
  if (headers.others() > kMostHeaders) read.outcome = HeadOutcome::kTooLarge;
  return read;
}

std::string plain_head(std::string_view head, const RequestHead& read) {
  bool has_return = false;
  const auto line = parse_line(take_line(head, has_return));
  const auto target = line ? origin_form(line->target) : std::nullopt;
  if (!line || !target) return {};  // such a head is not kOdd
  const bool http10 = line->version == kHttp10;
  std::string plain(line->method);
  plain.append(" ").append(*target).append(" HTTP/1.1\r\n");
  while (!head.empty()) {
    const std::string_view header = take_line(head, has_return);
    if (header.empty()) break;
    const size_t colon = header.find(':');
    const std::string_view name = header.substr(0, colon);
    if (is_left_out(name, http10)) continue;
    const std::string_view value = trimmed(header.substr(colon + 1));
    plain.append(name).append(value.empty() ? ":" : ": ").append(value).append("\r\n");
  }
  if (!read.has_host) plain.append("Host: lxd\r\n");
  if (read.closes) plain.append("Connection: close\r\n");
  return plain.append("\r\n");
}

}  // namespace devlxd
