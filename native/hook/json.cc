#include "hook/json.h"

#include <cstdint>
#include <cstdio>

namespace devlxd::hook {
namespace {

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// How long the character at the front of text is (RFC 3629); 0: it is none.
size_t character_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  const size_t length = first < 0xc2   ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  uint32_t code = first & (0x7f >> length);
  for (const char byte : text.substr(1, length - 1)) {
    if (!continues(byte)) return 0;
    code = code << 6 | (static_cast<unsigned char>(byte) & 0x3f);
  }
  const bool is_overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool is_surrogate = code >= 0xd800 && code < 0xe000;
  return is_overlong || is_surrogate || code > 0x10ffff ? 0 : length;
}

std::string escaped(unsigned code) {
  char escape[8];
  snprintf(escape, sizeof escape, "\\u%04x", code);
  return escape;
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string result = "\"";
  while (!text.empty()) {
    const char c = text[0];
    const size_t length = character_length(text);
    if (length == 0) {
      result += escaped(0xdc00 + static_cast<unsigned char>(c));
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += escaped(static_cast<unsigned char>(c));
    } else {
      if (c == '"' || c == '\\') result += '\\';
      result += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result + '"';
}

}  // namespace devlxd::hook
