#ifndef DEVLXD_GATE_REQUEST_HEAD_H_
#define DEVLXD_GATE_REQUEST_HEAD_H_

#include <string_view>

namespace devlxd {

// Is this first piece of a request one that uWebSockets' parser takes? It refuses, or drops without
// a word, absolute-form targets (cloud-init sends them when http_proxy is set), HTTP/1.0, lines
// that end in LF alone, and heads without Host. Only what can be seen counts: a piece that may
// still become a plain request is one.
bool is_plain_request(std::string_view data);

// Is the request line, or whatever stands in its place, there to its end?
bool has_whole_line(std::string_view data);

// Is this one whole GET request and nothing else, after which the connection goes on as before? The
// same bytes, sent again, are then the same request again.
bool is_repeatable_request(std::string_view data);

}  // namespace devlxd

#endif  // DEVLXD_GATE_REQUEST_HEAD_H_
