#include "hook/answer.h"

#include <algorithm>

namespace devlxd::hook {
namespace {

constexpr size_t kLongestLine = 500;

// The first line of the text, short enough for a log, and without what a terminal would act on.
std::string line_of(std::string_view text) {
  const bool is_long = text.substr(0, text.find_first_of("\r\n")).size() > kLongestLine;
  std::string line(text.substr(0, std::min(text.find_first_of("\r\n"), kLongestLine)));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return is_long ? line + "..." : line;
}

}  // namespace

std::optional<std::string> complaint_in(std::string_view answer) {
  constexpr std::string_view kHeadEnd = "\r\n\r\n";
  constexpr std::string_view kError = "error: ";
  const size_t head_end = answer.find(kHeadEnd);
  const std::string_view body =
      head_end == std::string_view::npos ? "" : answer.substr(head_end + kHeadEnd.size());
  if (body == "ok\n") return std::nullopt;
  if (body.starts_with(kError)) return line_of(body.substr(kError.size()));
  return "devlxd answers \"" + line_of(answer) + "\"; is it older than this hook?";
}

}  // namespace devlxd::hook
