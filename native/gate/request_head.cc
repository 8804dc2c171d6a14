#include "gate/request_head.h"

#include <algorithm>
#include <cctype>
#include <iterator>

namespace devlxd {
namespace {

constexpr std::string_view kVersion = " HTTP/1.1\r";
constexpr std::string_view kHost = "host:";
constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kKeepAlive = "connection: keep-alive\r";

// Headers that say what becomes of the connection, or that there is more to come.
constexpr std::string_view kConsequential[] = {
    "connection:", "content-length:", "transfer-encoding:", "upgrade:", "expect:"};

// lower: a header's name and colon, in lower case
bool begins_with(std::string_view line, std::string_view lower) {
  const auto same = [](char expected, unsigned char given) { return expected == tolower(given); };
  return line.size() >= lower.size() && std::equal(lower.begin(), lower.end(), line.begin(), same);
}

bool is_inconsequential(std::string_view line) {
  if (line.size() == kKeepAlive.size() && begins_with(line, kKeepAlive)) return true;
  return std::none_of(std::begin(kConsequential), std::end(kConsequential),
                      [line](std::string_view name) { return begins_with(line, name); });
}

}  // namespace

bool is_plain_request(std::string_view data) {
  size_t end = data.find('\n');
  if (end == std::string_view::npos) return true;
  const std::string_view first = data.substr(0, end);
  const size_t target = first.find(' ') + 1;
  if (target == 0 || first.substr(target, 1) != "/" || !first.ends_with(kVersion)) return false;
  bool has_host = false;
  for (size_t begin = end + 1; (end = data.find('\n', begin)) != std::string_view::npos;
       begin = end + 1) {
    const std::string_view line = data.substr(begin, end - begin);
    if (line == "\r") return has_host;
    if (!line.ends_with('\r')) return false;
    has_host = has_host || begins_with(line, kHost);
  }
  return true;
}

bool has_whole_line(std::string_view data) { return data.find('\n') != std::string_view::npos; }

bool is_repeatable_request(std::string_view data) {
  if (!data.starts_with("GET ") || data.size() < kHeadEnd.size()) return false;
  if (data.find(kHeadEnd) != data.size() - kHeadEnd.size()) return false;
  size_t end = 0;
  for (size_t begin = 0; (end = data.find('\n', begin)) != std::string_view::npos;
       begin = end + 1) {
    if (!is_inconsequential(data.substr(begin, end - begin))) return false;
  }
  return true;
}

}  // namespace devlxd
