#include "gate/response_cache.h"

#include <ctime>

namespace devlxd {
namespace {

// To a head: Date, Content-Length and the empty line.
constexpr size_t kMostAdded = 128;

constexpr size_t kDateLength = 29;  // RFC 9110, 5.6.7: IMF-fixdate

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

ResponseBytes bytes_of(const Response& response) {
  ResponseBytes made;
  std::string& bytes = made.bytes;
  bytes.reserve(response.head.size() + response.body.size() + kMostAdded);
  bytes.append(response.head).append("Date: ");
  made.date = bytes.size();
  bytes.append(date_now()).append("\r\nContent-Length: ");
  bytes.append(std::to_string(response.body.size())).append("\r\n\r\n").append(response.body);
  return made;
}

ResponseCache::Found ResponseCache::find(Slot slot, std::string_view request) {
  if (request.size() > kLongestRequest) return {};
  if (slot >= of_slot_.size() || of_slot_[slot] == nullptr) return {};
  auto& answers = of_slot_[slot]->answers;
  const auto found = answers.find(request);
  if (found == answers.end()) return {};
  Answer& answer = found->second;
  auto& [bytes, date] = answer.response;
  bytes.replace(date, kDateLength, date_now());
  return {bytes, answer.closes, answer.kind};
}

void ResponseCache::keep(Slot slot, std::string_view request, bool closes,
                         const Response& response) {
  if (request.size() > kLongestRequest) return;
  if (response.head.size() + response.body.size() + kMostAdded > kLongestResponse) return;
  Answer answer = {bytes_of(response), closes, response.kind};
  const size_t cost = request.size() + answer.response.bytes.size() + kEntryBytes;
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
