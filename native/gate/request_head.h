#ifndef DEVLXD_GATE_REQUEST_HEAD_H_
#define DEVLXD_GATE_REQUEST_HEAD_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "gate/request_body.h"
#include "uws/connection.h"

namespace devlxd {

// Bytes of a head with its empty line, and its header lines beside Host and Connection:
// uWebSockets' parser has room for 98 of all.
constexpr size_t kLongestHead = 128 * 1024;
constexpr size_t kMostHeaders = 96;

enum class HeadOutcome : uint8_t {
  kPlain,  // as uWebSockets' parser takes it
  kOdd,    // a request that uWebSockets refuses or does not answer: see plain_head()
  kBadRequest,
  kTooLarge,
  kUnknownCoding,  // of its body
};

struct RequestHead {
  HeadOutcome outcome = HeadOutcome::kBadRequest;
  RequestBody body;
  HttpVersion version = HttpVersion::kHttp11;
  bool closes = false;  // the connection ends after the response
  bool has_host = false;
  // A GET whose bytes, sent again, are the same request again.
  bool is_repeatable = false;
};

// The length of the head that data begin with, or 0 when it is not there to its end. searched: how
// much of data needs no look any more; updated.
size_t head_length(std::string_view data, size_t& searched);

// Is this line, without its LF, one with which a request may begin?
bool is_request_line(std::string_view line);

// Looks at a whole head, once.
RequestHead read_head(std::string_view head);

// The same head in origin-form and HTTP/1.1, with a Host, and lines that end in CRLF. Only for
// kOdd.
std::string plain_head(std::string_view head, const RequestHead& read);

}  // namespace devlxd

#endif  // DEVLXD_GATE_REQUEST_HEAD_H_
