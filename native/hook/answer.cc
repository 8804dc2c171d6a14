#include "hook/answer.h"

namespace devlxd::hook {

std::optional<std::string> complaint_in(std::string_view answer) {
  constexpr std::string_view kHeadEnd = "\r\n\r\n";
  constexpr std::string_view kError = "error: ";
  const size_t head_end = answer.find(kHeadEnd);
  const std::string_view body =
      head_end == std::string_view::npos ? "" : answer.substr(head_end + kHeadEnd.size());
  if (body == "ok\n") return std::nullopt;
  if (body.starts_with(kError)) {
    return std::string(body.substr(kError.size(), body.find('\n') - kError.size()));
  }
  return "devlxd answers \"" + std::string(answer.substr(0, answer.find_first_of("\r\n"))) +
         "\"; is it older than this hook?";
}

}  // namespace devlxd::hook
