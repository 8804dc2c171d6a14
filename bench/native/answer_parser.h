#ifndef DEVLXD_BENCH_ANSWER_PARSER_H_
#define DEVLXD_BENCH_ANSWER_PARSER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace devlxd::bench {

// Reads answers of an HTTP/1.1 server, however the bytes are cut, and compares each body with the
// expected one while it comes; no body is kept.
class AnswerParser {
 public:
  enum class Outcome { kMore, kDone, kBroken };

  // expected_body must live as long as the parser; nullptr: any body will do.
  explicit AnswerParser(const std::string* expected_body) : expected_body_(expected_body) {}

  // Forgets what has come; the next byte is the first of an answer.
  void restart();

  // Takes this answer's bytes from the front of data. After kDone the rest is not part of it.
  Outcome feed(std::string_view& data);

  int status() const { return status_; }
  bool body_matches() const;
  // Of this answer so far, head and body.
  uint64_t bytes() const { return bytes_; }
  // Nothing of an answer has come yet.
  bool untouched() const { return bytes_ == 0; }

 private:
  enum class State { kHead, kSized, kChunkSize, kChunk, kChunkEnd, kTrailers, kDone, kBroken };

  State step(std::string_view& data);
  State take_head(std::string_view& data);
  State read_head(std::string_view head);
  bool read_field(std::string_view line);
  State take_chunk_size(std::string_view& data);
  State take_trailer(std::string_view& data);
  State take_body(std::string_view& data, State after);
  State without_line() const;
  // The next line without its end, when all of it has come. A piece of one is kept in line_.
  std::optional<std::string_view> take_line(std::string_view& data);

  const std::string* expected_body_;
  State state_ = State::kHead;
  std::string head_;  // what came of a head that was cut
  std::string line_;  // the same for a line between chunks
  int status_ = 0;
  bool chunked_ = false;
  std::optional<uint64_t> length_;
  uint64_t left_ = 0;  // bytes of the body, or of the chunk, that are still to come
  uint64_t body_bytes_ = 0;
  uint64_t bytes_ = 0;
  bool equal_so_far_ = true;
};

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_ANSWER_PARSER_H_
