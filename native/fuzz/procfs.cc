// native/identity/procfs.cc, the texts of /proc, against readings of its own.
#include "identity/procfs.h"

#include <limits>
#include <string>
#include <vector>

#include "fuzz/require.h"

namespace {

using devlxd::innermost_pid_of_status;
using devlxd::root_uid_of_map;
using devlxd::start_of_stat;

std::vector<std::string> split(const std::string& text, const std::string& separators) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (separators.find(c) == std::string::npos) {
      parts.back() += c;
    } else {
      parts.emplace_back();
    }
  }
  return parts;
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words = split(line, " \t");
  std::erase(words, "");
  return words;
}

std::optional<uint64_t> number_in(const std::vector<std::string>& words, size_t index,
                                  uint64_t most) {
  if (index >= words.size()) return std::nullopt;
  unsigned __int128 value = 0;
  for (const char c : words[index]) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
    if (value > most) return std::nullopt;
  }
  return static_cast<uint64_t>(value);
}

std::optional<uid_t> expected_root_uid(const std::string& text) {
  constexpr uint64_t kMost = std::numeric_limits<uid_t>::max();
  for (const std::string& line : split(text, "\n")) {
    const std::vector<std::string> words = words_of(line);
    const auto outside = number_in(words, 1, kMost);
    if (number_in(words, 0, kMost) != 0u || !outside) continue;
    if (number_in(words, 2, kMost).value_or(0) == 0) continue;
    return outside == kMost ? std::nullopt : std::optional(static_cast<uid_t>(*outside));
  }
  return std::nullopt;
}

std::optional<uint64_t> expected_start(const std::string& text) {
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  return number_in(words_of(text.substr(name_end + 1)), 22 - 3,
                   std::numeric_limits<uint64_t>::max());
}

std::optional<pid_t> expected_pid(const std::string& text) {
  for (const std::string& line : split(text, "\n")) {
    if (!line.starts_with("NSpid:")) continue;
    const std::vector<std::string> words = words_of(line.substr(6));
    if (words.empty()) return std::nullopt;
    constexpr uint64_t kMost = std::numeric_limits<pid_t>::max();
    const uint64_t pid = number_in(words, words.size() - 1, kMost).value_or(0);
    return pid > 0 ? std::optional(static_cast<pid_t>(pid)) : std::nullopt;
  }
  return std::nullopt;
}

// A process chooses its own name, which ends at the last ")"; nothing of it may count.
void check_name(const std::string& text) {
  const size_t first = text.find(')');
  if (first == std::string::npos) return;
  REQUIRE(start_of_stat("1 (" + text) == start_of_stat(text));
  const std::string behind = text.substr(text.rfind(')'));
  REQUIRE(start_of_stat(behind) == start_of_stat(text));
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view given(reinterpret_cast<const char*>(data), size);
  const std::string text(given);
  REQUIRE(root_uid_of_map(given) == expected_root_uid(text));
  REQUIRE(start_of_stat(given) == expected_start(text));
  REQUIRE(innermost_pid_of_status(given) == expected_pid(text));
  check_name(text);
  return 0;
}
