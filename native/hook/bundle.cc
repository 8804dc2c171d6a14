#include "hook/bundle.h"

#include <vector>

namespace devlxd::hook {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

// A part of the text.
struct Span {
  size_t begin = 0;
  size_t end = 0;
};

struct Member {
  std::string_view key;  // as it is written
  Span value;
};

// Finds its way through JSON. It reads only as much as it needs: the runtime judges the rest.
class Reader {
 public:
  Reader(std::string_view text, size_t at) : text_(text), at_(at) {}

  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    at_++;
    return true;
  }

  std::optional<Span> string() {
    skip_space();
    const size_t begin = at_;
    if (!take('"')) return std::nullopt;
    for (; at_ < text_.size(); at_++) {
      if (text_[at_] == '\\') {
        at_++;
      } else if (text_[at_] == '"') {
        at_++;
        return Span{begin, at_};
      }
    }
    return std::nullopt;
  }

  std::optional<Span> value() {
    skip_space();
    const size_t begin = at_;
    size_t depth = 0;
    do {
      skip_space();
      if (at_ >= text_.size()) return std::nullopt;
      const char c = text_[at_];
      if (c == '"') {
        if (!string()) return std::nullopt;
        continue;
      }
      if (c == '{' || c == '[') depth++;
      if (c == '}' || c == ']') {
        if (depth == 0) return std::nullopt;
        depth--;
      }
      if (is_mark(c)) {
        if (depth == 0 && (c == ',' || c == ':')) return std::nullopt;
        at_++;
      } else {
        while (at_ < text_.size() && !is_mark(text_[at_]) && text_[at_] != '"') at_++;
      }
    } while (depth > 0);
    return Span{begin, at_};
  }

  size_t at() const { return at_; }

 private:
  static bool is_mark(char c) {
    return std::string_view("{}[],:").find(c) != std::string_view::npos ||
           kSpace.find(c) != std::string_view::npos;
  }

  void skip_space() {
    while (at_ < text_.size() && kSpace.find(text_[at_]) != std::string_view::npos) at_++;
  }

  std::string_view text_;
  size_t at_;
};

// The members of the object that begins there; nothing when it is none.
std::optional<std::vector<Member>> members(std::string_view text, size_t begin) {
  Reader reader(text, begin);
  std::vector<Member> result;
  if (!reader.take('{')) return std::nullopt;
  if (reader.take('}')) return result;
  do {
    const auto key = reader.string();
    if (!key || !reader.take(':')) return std::nullopt;
    const auto value = reader.value();
    if (!value) return std::nullopt;
    result.push_back({text.substr(key->begin + 1, key->end - key->begin - 2), *value});
  } while (reader.take(','));
  if (!reader.take('}')) return std::nullopt;
  return result;
}

const Member* find(const std::vector<Member>& all, std::string_view key) {
  const Member* found = nullptr;
  for (const Member& member : all) {
    if (member.key == key) found = &member;  // the last one counts
  }
  return found;
}

// One more element at the end of the array, or an array of its own where there is none.
std::optional<std::string> with_element(std::string_view array, std::string_view element) {
  if (array == "null") return "[" + std::string(element) + "]";
  if (!array.starts_with('[') || !array.ends_with(']')) return std::nullopt;
  const std::string_view inside = array.substr(1, array.size() - 2);
  const size_t last = inside.find_last_not_of(kSpace);
  const size_t end = last == std::string_view::npos ? 1 : last + 2;
  const std::string_view comma = last == std::string_view::npos ? "" : ",";
  return std::string(array.substr(0, end)) + std::string(comma) + std::string(element) +
         std::string(array.substr(end));
}

// The object with another value of that key.
std::string with_member(std::string_view object, const std::vector<Member>& all,
                        std::string_view key, std::string_view value) {
  if (const Member* before = find(all, key)) {
    return std::string(object.substr(0, before->value.begin)) + std::string(value) +
           std::string(object.substr(before->value.end));
  }
  const std::string member = "\"" + std::string(key) + "\":" + std::string(value);
  const size_t end = all.empty() ? object.find('{') + 1 : all.back().value.end;
  return std::string(object.substr(0, end)) + (all.empty() ? "" : ",") + member +
         std::string(object.substr(end));
}

std::string_view value_of(std::string_view object, const std::vector<Member>& all,
                          std::string_view key) {
  const Member* member = find(all, key);
  if (member == nullptr) return "null";
  return object.substr(member->value.begin, member->value.end - member->value.begin);
}

}  // namespace

std::optional<std::string> with_hooks(std::string_view configuration, std::string_view hook) {
  const auto all = members(configuration, 0);
  if (!all) return std::nullopt;
  std::string hooks(value_of(configuration, *all, "hooks"));
  if (hooks.find("devlxd-hook\"") != std::string::npos) return std::nullopt;
  if (hooks == "null") hooks = "{}";
  for (const char* stage : {"createRuntime", "poststop"}) {
    const auto stages = members(hooks, 0);
    if (!stages) return std::nullopt;
    const auto called = with_element(value_of(hooks, *stages, stage), hook);
    if (!called) return std::nullopt;
    hooks = with_member(hooks, *stages, stage, *called);
  }
  return with_member(configuration, *all, "hooks", hooks);
}

std::string_view string_in(std::string_view object, std::string_view key) {
  const auto all = members(object, 0);
  if (!all) return {};
  const std::string_view value = value_of(object, *all, key);
  return value.starts_with('"') ? value.substr(1, value.size() - 2) : std::string_view();
}

}  // namespace devlxd::hook
