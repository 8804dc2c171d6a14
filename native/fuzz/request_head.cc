// native/gate/request_head.cc and request_body.cc: a head ends where a reader of one byte after the
// other finds its end, whatever pieces it comes in; what is made plain is plain, and means the
// same; a body ends at the same byte in one piece and in many, and what uWebSockets is given of it
// is that body.
#include "gate/request_head.h"

#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "fuzz/require.h"
#include "gate/request_body.h"

namespace {

using devlxd::HeadOutcome;
using devlxd::RequestBody;
using devlxd::RequestHead;

// Exactly as large as the text, so that a byte read beyond is seen.
class Exact {
 public:
  explicit Exact(std::string_view text) : bytes_(new char[text.size()]), size_(text.size()) {
    memcpy(bytes_.get(), text.data(), text.size());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t size_;
};

// Two LFs with nothing but perhaps a CR between them.
size_t end_of_head(std::string_view data) {
  for (size_t i = 1; i < data.size(); i++) {
    if (data[i] != '\n') continue;
    if (data[i - 1] == '\n' || (i > 1 && data[i - 1] == '\r' && data[i - 2] == '\n')) return i + 1;
  }
  return 0;
}

void check_length(std::string_view data) {
  size_t searched = 0;
  for (size_t length = 0; length <= data.size(); length++) {
    const Exact beginning(data.substr(0, length));
    const size_t found = devlxd::head_length(beginning.view(), searched);
    REQUIRE(found == end_of_head(beginning.view()));
    REQUIRE(searched <= length);
    if (found > 0) break;
  }
  size_t once = 0;
  REQUIRE(devlxd::head_length(data, once) == end_of_head(data));
}

bool is_same_body(RequestBody one, RequestBody other) {
  std::string some = "5\r\nhello\r\n0\r\n\r\nbehind it";
  std::string_view a = some;
  std::string_view b = some;
  std::string of_one;
  std::string of_other;
  const bool taken = one.take(a, of_one);
  return taken == other.take(b, of_other) && a.size() == b.size() && of_one == of_other;
}

// As a request that has been made plain is: read again, it is plain, and says the same.
void check_plain(std::string_view head, const RequestHead& read) {
  const Exact made(devlxd::plain_head(head, read));
  const RequestHead again = devlxd::read_head(made.view());
  REQUIRE(again.outcome == HeadOutcome::kPlain);
  REQUIRE(again.version == devlxd::HttpVersion::kHttp11);
  REQUIRE(again.closes == read.closes && again.has_host);
  REQUIRE(is_same_body(again.body, read.body));
  REQUIRE(end_of_head(made.view()) == made.view().size());
  REQUIRE(made.view().substr(0, made.view().find(' ')) == head.substr(0, head.find(' ')));
  REQUIRE(!read.is_repeatable || again.is_repeatable);
}

// What goes to uWebSockets as it came has nothing that another parser may take for something else.
void check_as_it_came(std::string_view head) {
  REQUIRE(head.find('\0') == std::string_view::npos);
  for (size_t i = 0; i < head.size(); i++) {
    REQUIRE((head[i] == '\r') == (i + 1 < head.size() && head[i + 1] == '\n'));
    REQUIRE(head[i] != '\n' || i + 1 == head.size() || (head[i + 1] != ' ' && head[i + 1] != '\t'));
  }
  const std::string_view line = head.substr(0, head.find('\r'));
  REQUIRE(line.ends_with(" HTTP/1.1") && line.find(" /") != std::string_view::npos);
}

void check_head(std::string_view head) {
  const Exact exact(head);
  const RequestHead read = devlxd::read_head(exact.view());
  if (read.outcome == HeadOutcome::kPlain) check_as_it_came(exact.view());
  if (read.outcome != HeadOutcome::kPlain && read.outcome != HeadOutcome::kOdd) return;
  REQUIRE(devlxd::is_request_line(head.substr(0, head.find('\n'))));
  if (read.outcome == HeadOutcome::kOdd) check_plain(exact.view(), read);
}

// The content of chunks that uWebSockets is given, which have neither extensions nor trailers.
std::string content_of(std::string_view chunks) {
  std::string content;
  while (!chunks.empty()) {
    const size_t size = std::stoul(std::string(chunks.substr(0, chunks.find('\r'))), nullptr, 16);
    chunks.remove_prefix(chunks.find('\n') + 1);
    content.append(chunks.substr(0, size));
    REQUIRE(chunks.substr(size, 2) == "\r\n");
    chunks.remove_prefix(size + 2);
  }
  return content;
}

void check_body(std::string_view data, RequestBody whole, bool chunks) {
  if (whole.ended()) return;  // nothing is taken for a body that has none
  std::minstd_rand random(static_cast<unsigned>(std::hash<std::string_view>()(data)));
  RequestBody pieces = whole;
  std::string_view rest = data;
  std::string out;
  const bool taken = whole.take(rest, out);
  size_t at = 0;
  std::string together;
  bool good = true;
  while (good && !pieces.ended() && at < data.size()) {
    const Exact piece(data.substr(at, 1 + random() % 5));
    std::string_view left = piece.view();
    good = pieces.take(left, together);
    at += piece.view().size() - left.size();
  }
  REQUIRE(good == taken);
  if (!taken) return;
  REQUIRE(pieces.ended() == whole.ended() && at == data.size() - rest.size());
  REQUIRE(chunks ? content_of(together) == content_of(out) : together == out);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view data(reinterpret_cast<const char*>(bytes), size);
  check_length(data);
  const size_t length = end_of_head(data);
  if (length > 0) check_head(data.substr(0, length));
  check_body(data, RequestBody::in_chunks(), true);
  check_body(data, RequestBody::of_length(size / 2), false);
  return 0;
}
