// Holds what the benchmarks' figures stand on: percentiles are within 1 %, and answers and frames
// are understood however their bytes are cut. Built and run like native/test.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "../answer_parser.h"
#include "../histogram.h"
#include "../known_answer.h"
#include "../websocket.h"

namespace {

using devlxd::bench::AnswerParser;
using devlxd::bench::FrameReader;

void check(bool holds, const std::string& what) {
  if (holds) return;
  fprintf(stderr, "bench_test: %s\n", what.c_str());
  exit(1);
}

void percentiles_are_within_one_percent() {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> latencies(10, 2.5);
  devlxd::bench::Histogram histogram;
  std::vector<uint64_t> values(200'000);
  for (uint64_t& value : values) {
    value = static_cast<uint64_t>(latencies(random));
    histogram.add(value);
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {0.1, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const auto rank = static_cast<size_t>(static_cast<double>(values.size()) * percent / 100);
    const auto exact = static_cast<double>(values[rank - 1]);
    const double error = static_cast<double>(histogram.percentile(percent)) - exact;
    check(std::abs(error) <= exact * 0.01, "percentile " + std::to_string(percent));
  }
  histogram.add(UINT64_MAX);
  check(histogram.max() == UINT64_MAX, "the maximum is exact");
  check(histogram.percentile(100) > UINT64_MAX / 100 * 99, "the last bucket");
}

struct Case {
  const char* answer;
  const char* expected;
  AnswerParser::Outcome outcome;
  bool matches;
};

constexpr auto kDone = AnswerParser::Outcome::kDone;
constexpr auto kBroken = AnswerParser::Outcome::kBroken;

const Case kCases[] = {
    {"HTTP/1.1 200 OK\r\ncontent-LENGTH:  5 \r\n\r\nhello", "hello", kDone, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellO", "hello", kDone, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell", "hello", kDone, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!", "hello", kDone, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", kDone, true},
    {"HTTP/1.1 204 No Content\r\n\r\n", "", kDone, true},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "", kDone, true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nA: "
     "b\r\n\r\n",
     "hello", kDone, true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nlow\r\n0\r\n\r\n", "hello", kDone,
     false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "", kBroken, true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n", "a", kBroken, true},
    {"HTTP/1.1 200 OK\r\n\r\nhello", "hello", kBroken, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello", "hello", kBroken, false},
    {"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", "", kBroken, true},
};

void answers_are_understood_however_cut() {
  for (const Case& test : kCases) {
    const std::string_view whole = test.answer;
    const std::string expected = test.expected;
    for (size_t piece = 1; piece <= whole.size(); piece++) {
      AnswerParser parser(&expected);
      auto outcome = AnswerParser::Outcome::kMore;
      size_t taken = 0;
      while (outcome == AnswerParser::Outcome::kMore && taken < whole.size()) {
        std::string_view data = whole.substr(taken, piece);
        const size_t given = data.size();
        outcome = parser.feed(data);
        taken += given - data.size();
      }
      check(outcome == test.outcome, std::string("outcome of ") + test.answer);
      if (outcome != kDone) continue;
      check(parser.body_matches() == test.matches, std::string("body of ") + test.answer);
      check(parser.bytes() == whole.size(), std::string("length of ") + test.answer);
    }
  }
}

void what_follows_an_answer_is_left() {
  const std::string expected = "hi";
  AnswerParser parser(&expected);
  std::string_view data = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP";
  check(parser.feed(data) == kDone && data == "HTTP", "the rest");
}

void the_same_answer_is_known_whatever_its_date() {
  const std::string answer = "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026\r\nA: b\r\n\r\nDate: 1";
  devlxd::bench::KnownAnswer known;
  check(!known.equals(answer) && !known.equals(""), "nothing is known at first");
  known.remember(answer);
  const size_t date = answer.find("Mon");
  for (size_t i = 0; i < answer.size(); i++) {
    std::string other = answer;
    other[i] ^= 1;
    const bool in_date = i >= date && i < answer.find("\r\nA");
    check(known.equals(other) == in_date, "a change at " + std::to_string(i));
  }
  check(!known.equals(answer + "x") && !known.equals(answer.substr(1)), "another length");
  known.remember("HTTP/1.1 200 OK\r\n\r\nhello");
  check(known.equals("HTTP/1.1 200 OK\r\n\r\nhello"), "without a date");
  check(!known.equals("HTTP/1.1 200 OK\r\n\r\nhellO"), "without a date, another body");
}

void frames_are_understood_however_cut() {
  const std::string stream = devlxd::bench::text_frame("hello") + std::string("\x89\x02pi", 4) +
                             devlxd::bench::text_frame(std::string(300, 'x')) +
                             devlxd::bench::text_frame(std::string(70'000, 'y')) +
                             devlxd::bench::text_frame("") + std::string("\x88\x00", 2);
  for (const size_t piece : {1UL, 2UL, 3UL, 7UL, 1000UL, stream.size()}) {
    FrameReader reader;
    std::string seen;
    for (size_t i = 0; i < stream.size(); i += piece) {
      const bool understood =
          reader.feed(std::string_view(stream).substr(i, piece),
                      [&](FrameReader::Frame frame, std::string_view payload) {
                        seen += std::to_string(static_cast<int>(frame)) + std::string(payload);
                      });
      check(understood, "a frame");
    }
    check(seen == "01pi0002", "the frames, in order: " + seen);
  }
  FrameReader reader;
  check(!reader.feed("\x81\x81zzzz", [](FrameReader::Frame, std::string_view) {}), "a masked one");
}

}  // namespace

int main() {
  percentiles_are_within_one_percent();
  answers_are_understood_however_cut();
  what_follows_an_answer_is_left();
  the_same_answer_is_known_whatever_its_date();
  frames_are_understood_however_cut();
  puts("bench_test: ok");
}
