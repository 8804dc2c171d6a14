#include "gate/response_cache.h"

#include <ctime>

namespace devlxd {
namespace {

constexpr size_t kDateLength = 29;  // RFC 9110, 5.6.7: IMF-fixdate

// Written in one piece, or not at all: Linux takes this much as one buffer.
constexpr size_t kLongestAnswer = 4096;

// A table's own cost for one entry, roughly.
constexpr size_t kEntryBytes = 128;

std::string_view date_now() {
  static time_t written_at = 0;
  static char text[kDateLength + 1];
  timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != written_at) {
    written_at = now.tv_sec;
    tm utc;
    gmtime_r(&now.tv_sec, &utc);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
  }
  return {text, kDateLength};
}

}  // namespace

ResponseCache::Found ResponseCache::find(Slot slot, std::string_view request) {
  if (request.size() > kLongestRequest) return {};
  if (slot >= of_slot_.size() || of_slot_[slot] == nullptr) return {};
  auto& answers = of_slot_[slot]->answers;
  const auto found = answers.find(request);
  if (found == answers.end()) return {};
  Answer& answer = found->second;
  answer.bytes.replace(answer.date, kDateLength, date_now());
  return {answer.bytes, answer.closes, answer.kind};
}

void ResponseCache::keep(Slot slot, std::string_view request, bool closes,
                         const Response& response) {
  const auto& [head, body, kind] = response;
  if (request.size() > kLongestRequest || head.size() + body.size() + 128 > kLongestAnswer) return;
  Answer answer;
  answer.closes = closes;
  answer.kind = kind;
  answer.bytes.append(head).append("Date: ");
  answer.date = answer.bytes.size();
  answer.bytes.append(date_now()).append("\r\nContent-Length: ");
  answer.bytes.append(std::to_string(body.size())).append("\r\n\r\n").append(body);
  const size_t cost = request.size() + answer.bytes.size() + kEntryBytes;
  if (cost > most_) return;
  if (slot >= of_slot_.size()) of_slot_.resize(slot + 1);
  auto& kept = of_slot_[slot];
  if (kept == nullptr || kept->bytes + cost > most_) kept = std::make_unique<OfInstance>();
  if (kept->answers.emplace(request, std::move(answer)).second) kept->bytes += cost;
}

void ResponseCache::forget(Slot slot) {
  if (slot < of_slot_.size()) of_slot_[slot].reset();
}

}  // namespace devlxd
