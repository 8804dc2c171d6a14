#include <string>
#include <string_view>

#include "gate/rate_limiter.h"
#include "gate/request_head.h"
#include "gate/response_cache.h"
#include "gate/turn_shares.h"
#include "test/check.h"
#include "test/native_test.h"

namespace devlxd {
namespace {

int tokens(RateLimiter& rates, Slot slot, uint64_t now) {
  int taken = 0;
  for (; taken < 1000 && rates.may_work(slot, now); taken++) rates.charge(slot, now);
  return taken;
}

// What a head of a GET is read as.
HeadOutcome outcome_of(std::string_view head) { return read_head(head).outcome; }

}  // namespace

void test_request_heads() {
  for (const char* plain : {
           "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET / HTTP/1.1\r\nA: b\r\nhOsT:\r\n\r\n",
           "PATCH /1.0 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n",
       }) {
    CHECK(outcome_of(plain) == HeadOutcome::kPlain);
  }
  for (const char* odd : {
           "GET http://lxd/1.0 HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET / HTTP/1.0\r\nHost: x\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n",
           "GET / HTTP/1.1\nHost: x\n\n",
           "GET / HTTP/1.1\r\nHost: x\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\xe9\r\n\r\n",
       }) {
    const RequestHead read = read_head(odd);
    CHECK(read.outcome == HeadOutcome::kOdd);
    CHECK(outcome_of(plain_head(odd, read)) == HeadOutcome::kPlain);
  }
  for (const char* bad : {
           "GET /\r\n\r\n",
           "nonsense\n\n",
           "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: a\r\n\r\n",
       }) {
    CHECK(outcome_of(bad) == HeadOutcome::kBadRequest);
  }
}

void test_repeatable_requests() {
  const auto is_repeatable = [](std::string_view head) { return read_head(head).is_repeatable; };
  CHECK(is_repeatable("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK(is_repeatable("GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nA: b\r\n\r\n"));
  for (const char* not_repeatable : {
           "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n",
       }) {
    CHECK(!is_repeatable(not_repeatable));
  }
}

void test_head_lengths() {
  const std::string_view head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  size_t searched = 0;
  for (size_t length = 0; length < head.size(); length++) {
    CHECK(head_length(head.substr(0, length), searched) == 0);
  }
  CHECK(head_length(std::string(head) + "GET /", searched) == head.size());
}

void test_answers() {
  ResponseCache answers(2000);
  const std::string_view head = "HTTP/1.1 200 OK\r\n";
  CHECK(answers.find(3, "a").response.empty());
  answers.keep(3, "a", false, {head, "one"});
  const std::string given(answers.find(3, "a").response);
  CHECK(given.starts_with("HTTP/1.1 200 OK\r\nDate: "));
  CHECK(given.ends_with(" GMT\r\nContent-Length: 3\r\n\r\none"));
  CHECK(answers.find(2, "a").response.empty() && answers.find(4, "a").response.empty());
  CHECK(answers.find(3, "A").response.empty() && answers.find(3, "").response.empty());
  const std::string long_body(5000, 'x');
  answers.keep(3, "long", false, {head, long_body});
  CHECK(answers.find(3, "long").response.empty());
  // Beyond its share the cache of an instance is emptied; others keep theirs.
  answers.keep(4, "a", false, {head, "four"});
  for (int i = 0; i < 100; i++) answers.keep(3, "more" + std::to_string(i), false, {head, "x"});
  CHECK(answers.find(3, "a").response.empty() && !answers.find(3, "more99").response.empty());
  CHECK(answers.find(4, "a").response.ends_with("four"));
  answers.forget(4);
  CHECK(answers.find(4, "a").response.empty());
  answers.forget(1000);
  ResponseCache none(0);
  none.keep(0, "a", false, {head, "x"});
  CHECK(none.find(0, "a").response.empty());
  answers.keep(4, "a", false, {head, "four"});
  answers.set_most(0);
  CHECK(answers.find(4, "a").response.empty());
  answers.keep(4, "a", false, {head, "four"});
  CHECK(answers.find(4, "a").response.empty());
  answers.set_most(2000);
  answers.keep(4, "a", false, {head, "four"});
  CHECK(answers.find(4, "a").response.ends_with("four"));
}

void test_rates() {
  constexpr int kAny = 1000;  // more than tokens() takes
  uint64_t now = 10'000'000;
  RateLimiter rates(10, 20);
  rates.reset(0);
  CHECK(tokens(rates, 0, now) == 20 && tokens(rates, 0, now + 100) == 1);
  CHECK(tokens(rates, 7, now) == 20);  // a slot that was never reset
  // Lifted: an empty bucket lets requests pass at once. The next user of the slot owes nothing.
  for (int i = 0; i < kAny; i++) rates.charge(1, now + 100);
  rates.set(0, 20);
  CHECK(tokens(rates, 0, now + 100) == kAny);
  rates.reset(1);
  rates.set(10, 20);
  CHECK(tokens(rates, 1, now + 100) == 20);
  // Narrower.
  now += 60'000;
  rates.set(10, 5);
  for (const Slot slot : {0, 1, 7}) CHECK(tokens(rates, slot, now) == 5);
  // Faster for a waiting request; a larger burst does not fill a bucket that was just emptied.
  rates.set(100, 50);
  CHECK(tokens(rates, 0, now) == 0 && tokens(rates, 0, now + 100) == 10);
  CHECK(tokens(rates, 0, now + 60'000) == 50);
  RateLimiter off(0, 0);
  off.reset(3);
  CHECK(tokens(off, 3, now) == kAny);
  off.set(10, 20);
  CHECK(tokens(off, 3, now) == 20 && tokens(off, 2, now) == 20);
}

void test_turn_shares() {
  TurnShares shares;
  uint64_t turn = 7;
  // One alone has all of a turn, and nothing of it is left over for the next.
  shares.spend(0, turn, TurnShares::kOfAll - 1);
  CHECK(shares.has_left(0, turn));
  shares.spend(0, turn, 1);
  CHECK(!shares.has_left(0, turn) && shares.has_left(1, turn));
  CHECK(shares.has_left(0, ++turn));
  // As many as used up theirs share the next one; others that ask have the same.
  for (const Payer payer : {0u, 1u, kFirstUserPayer, kFirstUserPayer + 1}) {
    shares.spend(payer, turn, TurnShares::kOfAll);
    CHECK(!shares.has_left(payer, turn));
  }
  turn++;
  shares.spend(0, turn, TurnShares::kOfAll / 4 - 1);
  CHECK(shares.has_left(0, turn));
  shares.spend(0, turn, 1);
  CHECK(!shares.has_left(0, turn) && shares.has_left(2, turn));
  // Nobody gets less than that, however many they are.
  turn++;
  for (Payer payer = 0; payer < 1000; payer++) shares.spend(payer, turn, TurnShares::kOfAll);
  turn++;
  shares.spend(0, turn, TurnShares::kLeast - 1);
  CHECK(shares.has_left(0, turn));
  // After a turn in which nobody did, one has all of it again.
  turn += 2;
  shares.spend(0, turn, TurnShares::kOfAll - 1);
  CHECK(shares.has_left(0, turn));
}

}  // namespace devlxd
