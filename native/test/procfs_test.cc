#include "identity/procfs.h"

#include <random>
#include <string>

#include "gate/request_head.h"
#include "test/check.h"
#include "test/native_test.h"

namespace devlxd {

void test_parsers() {
  CHECK(root_uid_of_map("         0    1000000      65536\n") == 1000000u);
  CHECK(root_uid_of_map("0 0 4294967295\n") == 0u);
  CHECK(root_uid_of_map("1000 5 1\n0 7 1\n") == 7u);
  CHECK(!root_uid_of_map(""));
  CHECK(!root_uid_of_map("1 2 3\n"));
  CHECK(!root_uid_of_map("0 7 0\n"));
  CHECK(!root_uid_of_map("0 4294967295 65536\n1 2 3\n"));
  const std::string fields = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21\n";
  CHECK(start_of_stat("12 (cat)" + fields) == 4242u);
  CHECK(start_of_stat("12 ([lxc monitor] ) S 9 9 9)" + fields) == 4242u);
  CHECK(!start_of_stat("12 (cat"));
  CHECK(!start_of_stat("12 (cat) S 1"));
  CHECK(innermost_pid_of_status("Name:\tx\nNSpid:\t4711\t17\t1\nNSpgid:\t9\n") == 1);
  CHECK(!innermost_pid_of_status("Name:\tx\n"));
  CHECK(!innermost_pid_of_status("NSpid:\t4711\t-5\n"));
  CHECK(!innermost_pid_of_status("NSpid:\t4711\t0\n"));
}

// Whatever the text is, a parser gives a value or none.
void test_parsers_with_noise() {
  std::mt19937 random(4711);
  const std::string alphabet = "0123456789 \t\r\n():NSpidGETHOSHhost/.-\xff";
  for (int round = 0; round < 200'000; round++) {
    std::string text(random() % 60, ' ');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    root_uid_of_map(text);
    start_of_stat(text);
    innermost_pid_of_status(text);
    read_head(text);
  }
}

}  // namespace devlxd
