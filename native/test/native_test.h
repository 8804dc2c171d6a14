#ifndef DEVLXD_TEST_NATIVE_TEST_H_
#define DEVLXD_TEST_NATIVE_TEST_H_

#include <string>

#include "identity/instance_table.h"

namespace devlxd {

// Of this process, now.
int open_descriptors();

void test_parsers();
void test_request_heads();
void test_hook_json();
void test_hook_answers();
void test_parsers_with_noise();
void test_identity(IdentityMethod path, const std::string& socket_path);
void test_known_process(const std::string& socket_path);
void test_held_pidfd_pins_namespace();
void test_repeatable_requests();
void test_head_lengths();
void test_answers();
void test_rates();
void test_turn_shares();
void test_send_file();
void test_handover();

}  // namespace devlxd

#endif  // DEVLXD_TEST_NATIVE_TEST_H_
