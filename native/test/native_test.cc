// The parts of native/ that need no Node, each checked by the file of its folder.
#include "test/native_test.h"

#include <unistd.h>

#include <cstdio>

#include "os/kernel.h"
#include "test/check.h"

namespace devlxd {
namespace {

int run() {
  const std::string socket_path = "/tmp/devlxd-native-test." + std::to_string(getpid());
  test_parsers();
  test_request_heads();
  test_parsers_with_noise();
  test_repeatable_requests();
  test_head_lengths();
  test_answers();
  test_rates();
  test_turn_shares();
  test_hook_answers();
  test_hook_json();
  const int best = static_cast<int>(best_identity_method());
  for (int path = best; path <= static_cast<int>(IdentityMethod::kProcfs); path++) {
    test_identity(static_cast<IdentityMethod>(path), socket_path);
  }
  if (best_identity_method() == IdentityMethod::kPidfdIoctl) test_known_process(socket_path);
  test_held_pidfd_pins_namespace();
  test_send_file();
  test_handover();
  printf("native: %d checks passed\n", checks.load());
  return 0;
}

}  // namespace
}  // namespace devlxd

int main() { return devlxd::run(); }
