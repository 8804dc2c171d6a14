#include "known_answer.h"

#include <algorithm>

namespace devlxd::bench {
namespace {

constexpr std::string_view kDate = "\r\nDate: ";

}  // namespace

void KnownAnswer::remember(std::string_view answer) {
  answer_ = answer;
  const size_t head = std::min(answer.find("\r\n\r\n"), answer.size());
  const size_t line = answer.substr(0, head).find(kDate);
  date_ = line == std::string_view::npos ? head : line + kDate.size();
  rest_ = line == std::string_view::npos ? head : answer.find("\r\n", date_);
}

bool KnownAnswer::equals(std::string_view answer) const {
  const std::string_view known = answer_;
  return !known.empty() && answer.size() == known.size() &&
         answer.substr(0, date_) == known.substr(0, date_) &&
         answer.substr(rest_) == known.substr(rest_);
}

}  // namespace devlxd::bench
