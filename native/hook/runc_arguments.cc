#include "hook/runc_arguments.h"

#include <algorithm>
#include <string_view>

namespace devlxd::hook {
namespace {

constexpr std::string_view kOwn = "--devlxd-";

// Options of runc and crun whose value may be the next word.
constexpr std::string_view kGlobalValues[] = {
    "root", "log", "log-format", "criu", "rootless", "cgroup-manager", "log-level"};
constexpr std::string_view kCreateValues[] = {
    "bundle", "b", "console-socket", "pid-file", "pidfd-socket", "preserve-fds", "config", "f"};

// The name of an option, without hyphens and value; empty: it is no option.
std::string_view option_in(std::string_view word) {
  if (word.size() < 2 || word[0] != '-') return "";
  word.remove_prefix(word[1] == '-' ? 2 : 1);
  return word.substr(0, word.find('='));
}

template <size_t count>
bool is_one_of(std::string_view name, const std::string_view (&names)[count]) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool has_value(std::string_view word) { return word.find('=') != std::string_view::npos; }

void take_own(std::string_view word, RuncArguments& result) {
  const size_t equals = word.find('=');
  const std::string name(word.substr(kOwn.size(), equals - kOwn.size()));
  const std::string value(equals == std::string_view::npos ? "" : word.substr(equals + 1));
  if (name == "runtime") {
    result.runtime = value;
  } else {
    result.hook_words.push_back("--" + name);
    result.hook_words.push_back(value);
  }
}

// Takes the options before the subcommand, and gives its index.
size_t take_global(const std::vector<std::string>& words, RuncArguments& result) {
  size_t i = 0;
  for (; i < words.size(); i++) {
    if (words[i].starts_with(kOwn)) {
      take_own(words[i], result);
      continue;
    }
    const std::string_view option = option_in(words[i]);
    if (option.empty()) break;
    result.words.push_back(words[i]);
    const bool takes_next = is_one_of(option, kGlobalValues) && !has_value(words[i]);
    if (takes_next && i + 1 < words.size()) result.words.push_back(words[++i]);
  }
  return i;
}

std::string bundle_in(const std::vector<std::string>& words, size_t begin) {
  std::string bundle = ".";
  for (size_t i = begin; i < words.size() && words[i] != "--"; i++) {
    const std::string_view option = option_in(words[i]);
    if (!is_one_of(option, kCreateValues)) continue;
    std::string value;
    if (has_value(words[i])) {
      value = words[i].substr(words[i].find('=') + 1);
    } else if (i + 1 < words.size()) {
      value = words[++i];
    }
    if (option == "bundle" || option == "b") bundle = value;
  }
  return bundle;
}

}  // namespace

RuncArguments parse_runc_arguments(const std::vector<std::string>& words) {
  RuncArguments result;
  const size_t command = take_global(words, result);
  if (command < words.size() && (words[command] == "create" || words[command] == "run")) {
    result.bundle = bundle_in(words, command + 1);
  }
  result.words.insert(result.words.end(), words.begin() + static_cast<ptrdiff_t>(command),
                      words.end());
  return result;
}

}  // namespace devlxd::hook
