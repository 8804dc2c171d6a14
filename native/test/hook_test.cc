#include <string>

#include "hook/answer.h"
#include "hook/json.h"
#include "test/check.h"
#include "test/native_test.h"

namespace devlxd {

void test_hook_json() {
  CHECK(hook::json_string("a\"\\\n\x7f") == "\"a\\\"\\\\\\u000a\x7f\"");
  for (const char* text :
       {"\xc3\xa9", "\xe2\x98\x83", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf", "\xef\xbf\xbd"}) {
    CHECK(hook::json_string(text) == std::string("\"") + text + "\"");
  }
  CHECK(hook::json_string("a\xff") == "\"a\\udcff\"");
  CHECK(hook::json_string("\xc3") == "\"\\udcc3\"");
  CHECK(hook::json_string("\xc3(") == "\"\\udcc3(\"");
  CHECK(hook::json_string("\xc0\xaf") == "\"\\udcc0\\udcaf\"");             // overlong
  CHECK(hook::json_string("\xe0\x80\xaf") == "\"\\udce0\\udc80\\udcaf\"");  // overlong
  CHECK(hook::json_string("\xed\xa0\x80") == "\"\\udced\\udca0\\udc80\"");  // a surrogate
  CHECK(hook::json_string("\xf4\x90\x80\x80") == "\"\\udcf4\\udc90\\udc80\\udc80\"");
}

void test_hook_answers() {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
  CHECK(!hook::complaint_in(head + "ok\n"));
  CHECK(hook::complaint_in(head + "error: no pid\nmore") == "no pid");
  CHECK(hook::complaint_in(head + "error: \n") == "");
  CHECK(hook::complaint_in("HTTP/1.1 404 Not Found\nok\n") ==
        "devlxd answers \"HTTP/1.1 404 Not Found\"; is it older than this hook?");
  CHECK(hook::complaint_in(""));
  CHECK(hook::complaint_in(head + "error: a\x1b[2Jb\r\n") == "a [2Jb");
  const auto long_complaint = hook::complaint_in(head + "error: " + std::string(1 << 20, 'x'));
  CHECK(long_complaint.has_value() && long_complaint->size() == 503);
}

}  // namespace devlxd
