// native/gate/response_cache.cc, which keeps what guests have sent and been answered, against a
// table that forgets nothing before its time.
#include "gate/response_cache.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/require.h"
#include "fuzz/steps.h"

namespace {

using devlxd::ResponseCache;
using devlxd::Slot;

constexpr Slot kSlots = 3;
constexpr size_t kMost = 2048;
constexpr size_t kDateLength = 29;

struct Kept {
  std::string head;
  std::string body;
};
using Model = std::map<std::pair<Slot, std::string>, std::vector<Kept>>;

bool is_answer(std::string_view answer, const Kept& kept) {
  const std::string before = kept.head + "Date: ";
  const std::string behind =
      "\r\nContent-Length: " + std::to_string(kept.body.size()) + "\r\n\r\n" + kept.body;
  return answer.size() == before.size() + kDateLength + behind.size() &&
         answer.starts_with(before) && answer.ends_with(behind) &&
         answer.substr(before.size() + kDateLength - 4, 4) == " GMT";
}

bool closes_after(std::string_view request) { return request.size() % 2 == 1; }

devlxd::RequestKind kind_of(std::string_view request) {
  return static_cast<devlxd::RequestKind>(request.size() % 5);
}

bool is_there(ResponseCache& answers, Slot slot, std::string_view request) {
  return !answers.find(slot, request).response.empty();
}

// What is found was kept for these bytes of this instance, and not forgotten since.
void check_found(ResponseCache& answers, const Model& model, Slot slot, std::string_view request) {
  const auto [answer, closes, kind] = answers.find(slot, request);
  if (answer.empty()) return;
  REQUIRE(closes == closes_after(request));
  REQUIRE(kind == kind_of(request));
  const auto known = model.find({slot, std::string(request)});
  REQUIRE(known != model.end());
  const std::vector<Kept>& all = known->second;
  REQUIRE(std::any_of(all.begin(), all.end(),
                      [answer](const Kept& kept) { return is_answer(answer, kept); }));
}

void keep(ResponseCache& answers, Model& model, Slot slot, devlxd::fuzz::Steps& steps) {
  const std::string_view request = steps.text(steps.number() * 8);
  const Kept kept = {std::string(steps.text(steps.number())),
                     std::string(steps.text(steps.number() * 8))};
  const bool again = is_there(answers, slot, request);
  answers.keep(slot, request, closes_after(request), {kept.head, kept.body, kind_of(request)});
  model[{slot, std::string(request)}].push_back(kept);
  const size_t least = request.size() + kept.head.size() + kept.body.size();
  REQUIRE(least <= kMost || again || !is_there(answers, slot, request));
  REQUIRE(request.size() <= ResponseCache::kLongestRequest || !is_there(answers, slot, request));
  REQUIRE(least > kMost / 2 || request.size() > ResponseCache::kLongestRequest ||
          is_there(answers, slot, request));
  check_found(answers, model, slot, request);
}

void forget(ResponseCache& answers, Model& model, Slot slot) {
  answers.forget(slot);
  std::erase_if(model, [slot](const auto& entry) { return entry.first.first == slot; });
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  devlxd::fuzz::Steps steps(data, size);
  ResponseCache answers(kMost);
  Model model;
  while (!steps.done()) {
    const unsigned step = steps.number();
    const Slot slot = step / 8 % kSlots;
    if (step % 8 == 0) {
      forget(answers, model, slot);
    } else if (step % 8 < 4) {
      keep(answers, model, slot, steps);
    } else {
      check_found(answers, model, slot, steps.text(steps.number() * 8));
    }
  }
  for (const auto& [key, kept] : model) check_found(answers, model, key.first, key.second);
  return 0;
}
