// native/hook/: what a runtime tells it must reach the daemon unchanged, and nothing of it may
// become something else on the way; what the daemon answers, whatever it is, becomes one sentence.
#include <string>
#include <vector>

#include "fuzz/require.h"
#include "fuzz/steps.h"
#include "hook/answer.h"
#include "hook/request.h"

namespace {

using devlxd::hook::Order;

constexpr size_t kShort = 32;

// Takes the parts of a request off its front, each as RFC 8259 has it.
class Reader {
 public:
  explicit Reader(std::string_view text) : left_(text) {}

  bool sees(std::string_view text) const { return left_.starts_with(text); }

  void take(std::string_view text) {
    REQUIRE(sees(text));
    left_.remove_prefix(text.size());
  }

  std::string take_string() {
    std::string result;
    take("\"");
    while (!sees("\"")) {
      const char c = take_byte();
      REQUIRE(static_cast<unsigned char>(c) >= 0x20);
      result += c == '\\' ? take_escaped() : c;
    }
    take("\"");
    return result;
  }

  std::string take_digits() {
    const std::string digits(left_.substr(0, left_.find_first_not_of("0123456789")));
    take(digits);
    return digits;
  }

  size_t left() const { return left_.size(); }

 private:
  char take_byte() {
    REQUIRE(!left_.empty());
    const char c = left_[0];
    left_.remove_prefix(1);
    return c;
  }

  char take_escaped() {
    const char c = take_byte();
    if (c == '"' || c == '\\') return c;
    REQUIRE(c == 'u' && left_.size() >= 4);
    const std::string code(left_.substr(0, 4));
    take(code);
    return static_cast<char>(std::stoi(code, nullptr, 16));
  }

  std::string_view left_;
};

void check_request(const Order& order) {
  const std::string request = devlxd::hook::request_of(order);
  Reader reader(request);
  reader.take("POST /1.0/hooks/" + order.runtime + " HTTP/1.0\r\nHost: devlxd\r\n");
  reader.take("Content-Type: application/json\r\nContent-Length: ");
  const std::string length = reader.take_digits();
  reader.take("\r\n\r\n");
  REQUIRE(std::to_string(reader.left()) == length);
  reader.take("{\"arguments\":[");
  for (size_t i = 0; i < order.arguments.size(); i++) {
    if (i > 0) reader.take(",");
    REQUIRE(reader.take_string() == order.arguments[i]);
  }
  reader.take("],\"environment\":{");
  for (size_t i = 0; i < order.environment.size(); i++) {
    if (i > 0) reader.take(",");
    const std::string name = reader.take_string();
    reader.take(":");
    REQUIRE(name + "=" + reader.take_string() == order.environment[i]);
  }
  reader.take("},\"input\":");
  REQUIRE(reader.take_string() == order.input);
  reader.take("}");
  REQUIRE(reader.left() == 0);
}

Order order_in(devlxd::fuzz::Steps steps) {
  Order order;
  order.runtime = "oci";
  const unsigned counts = steps.number();
  for (unsigned i = 0; i < counts % 4; i++) {
    order.arguments.emplace_back(steps.text(steps.number() % kShort));
  }
  for (unsigned i = 0; i < counts / 4 % 4; i++) {
    order.environment.push_back("LXC_" + std::to_string(i) + "=");
    order.environment.back() += steps.text(steps.number() % kShort);
  }
  while (!steps.done()) order.input += steps.text(1);
  return order;
}

void check_answer(std::string_view answer) {
  const std::optional<std::string> complaint = devlxd::hook::complaint_in(answer);
  REQUIRE(complaint || answer.ends_with("\r\n\r\nok\n"));
  REQUIRE(!complaint || complaint->find('\n') == std::string::npos);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  check_request(order_in(devlxd::fuzz::Steps(data, size)));
  check_answer({reinterpret_cast<const char*>(data), size});
  return 0;
}
