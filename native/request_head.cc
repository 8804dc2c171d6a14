#include "request_head.h"

#include <algorithm>
#include <cctype>

namespace devlxd {
namespace {

constexpr std::string_view kVersion = " HTTP/1.1\r";
constexpr std::string_view kHost = "host:";

bool is_host(std::string_view line) {
  const auto same = [](char expected, char given) { return expected == tolower(given); };
  return line.size() >= kHost.size() && std::equal(kHost.begin(), kHost.end(), line.begin(), same);
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
    has_host = has_host || is_host(line);
  }
  return true;
}

}  // namespace devlxd
