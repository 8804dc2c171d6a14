#ifndef DEVLXD_GATE_HEAD_BYTES_H_
#define DEVLXD_GATE_HEAD_BYTES_H_

#include <array>
#include <string_view>

// Which bytes the parts of a request's head may have.
namespace devlxd {

constexpr unsigned kToken = 1;  // RFC 9110, 5.6.2
constexpr unsigned kField = 2;  // RFC 9110, 5.5: field-vchar, SP and HTAB
constexpr unsigned kTarget = 4;
constexpr unsigned kPlainName = 8;  // a header's, as uWebSockets' parser takes it

inline constexpr std::array<unsigned char, 256> kKinds = [] {
  std::array<unsigned char, 256> kinds = {};
  for (unsigned c = 0; c < kinds.size(); c++) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool plain = letter || (c >= '0' && c <= '9') || c == '-';
    const bool token = plain || std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) !=
                                    std::string_view::npos;
    const bool visible = c > ' ' && c != 0x7f;
    if (c != 0 && token) kinds[c] |= kToken;
    if (plain) kinds[c] |= kPlainName;
    if (visible || c == ' ' || c == '\t') kinds[c] |= kField;
    if (visible) kinds[c] |= kTarget;
  }
  return kinds;
}();

inline bool consists_of(std::string_view text, unsigned kind) {
  unsigned common = kind;
  for (const unsigned char c : text) common &= kKinds[c];
  return common != 0;
}

}  // namespace devlxd

#endif  // DEVLXD_GATE_HEAD_BYTES_H_
