// The parts of native/ that need no Node, with real processes in real namespaces, as one program
// that a sanitizer can watch from start to end: npm run test:sanitize.
#include <dirent.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "gate/rate_limiter.h"
#include "gate/request_head.h"
#include "gate/response_cache.h"
#include "hook/answer.h"
#include "hook/json.h"
#include "identity/caller.h"
#include "identity/instance_table.h"
#include "identity/namespace_cache.h"
#include "identity/procfs.h"
#include "os/send_file.h"
#include "os/unix_socket.h"
#include "test/check.h"
#include "tools/guests/spawn.h"

namespace devlxd {
namespace {

int open_descriptors() {
  int count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (readdir(directory) != nullptr) count++;
  closedir(directory);
  return count;
}

// Connects to the socket at path once, and then waits to be killed.
[[noreturn]] void connect_and_stay(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
  OwnFd fd(socket(AF_UNIX, SOCK_STREAM, 0));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) _exit(1);
  for (;;) pause();
}

pid_t spawn_connecting_guest(const std::string& path) {
  guests::Spawned guest = guests::spawn_guest({});
  if (guest.pid == 0) connect_and_stay(path);
  return guest.pid;
}

OwnFd listen_at(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
  OwnFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  CHECK(chmod(path.c_str(), 0666) == 0);  // a guest's root is an unprivileged user here
  const timeval patience = {10, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  CHECK(listen(fd.get(), 16) == 0);
  return fd;
}

void end(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

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

void test_request_heads() {
  const auto outcome = [](const char* head) { return read_head(head).outcome; };
  CHECK(outcome("GET / HTTP/1.1\r\nHost: x\r\n\r\n") == HeadOutcome::kPlain);
  CHECK(outcome("GET http://lxd/1.0 HTTP/1.1\r\nHost: x\r\n\r\n") == HeadOutcome::kOdd);
  CHECK(outcome("GET / HTTP/1.0\r\nHost: x\r\n\r\n") == HeadOutcome::kOdd);
  CHECK(outcome("GET / HTTP/1.1\r\n\r\n") == HeadOutcome::kOdd);
  CHECK(read_head("GET / HTTP/1.1\r\nHost: x\r\n\r\n").is_repeatable);
  CHECK(!read_head("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").is_repeatable);
}

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
  CHECK(hook::complaint_in(head + "error: " + std::string(1 << 20, 'x'))->size() == 503);
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

void test_identity(IdentityMethod path, const std::string& socket_path) {
  unlink(socket_path.c_str());
  const OwnFd listening = listen_at(socket_path);
  const int before = open_descriptors();
  {
    InstanceTable instances;
    AcceptClock clock;
    NamespaceCache known(path);
    const pid_t guest = spawn_connecting_guest(socket_path);
    OwnFd connection(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    CHECK(connection.valid());

    Caller unregistered = identify(connection.get(), path, instances, {clock}, known);
    CHECK(unregistered.kind == CallerKind::kUnregistered);
    CHECK(unregistered.pid == guest);
    CHECK(owner_of(*unregistered.chain, instances) == kNoSlot);

    const Registration made = instances.add(path, guest);
    CHECK(made.outcome == RegisterOutcome::kRegistered);
    CHECK(instances.add(path, guest).outcome == RegisterOutcome::kTaken);
    CHECK(instances.add(path, getpid()).outcome == RegisterOutcome::kOwnNamespace);
    CHECK(owner_of(*unregistered.chain, instances) == kNoSlot);
    instances.activate(made.slot);
    CHECK(owner_of(*unregistered.chain, instances) == made.slot);
    assign_instance(unregistered, made.slot, instances);
    CHECK(unregistered.root);

    Caller caller = identify(connection.get(), path, instances, {clock}, known);
    CHECK(caller.kind == CallerKind::kInstance && caller.slot == made.slot && caller.root);

    // The slot is not given away while a connection is charged to it.
    instances.charge(made.slot);
    end(guest);
    instances.remove(made.slot);
    CHECK(instances.add(path, guest).outcome == RegisterOutcome::kGone);
    CHECK(identify(connection.get(), path, instances, {clock}, known).kind ==
          CallerKind::kUnidentified);
    const pid_t next = spawn_connecting_guest(socket_path);
    const Registration other = instances.add(path, next);
    CHECK(other.outcome == RegisterOutcome::kRegistered && other.slot != made.slot);
    CHECK(other.namespace_id != made.namespace_id);
    instances.discharge(made.slot);
    instances.remove(other.slot);
    const OwnFd late(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    CHECK(late.valid());  // taken before its guest ends: else it may not have connected
    end(next);
  }
  CHECK(open_descriptors() == before);
  unlink(socket_path.c_str());
}

// A guest in a guest, which connects to the socket at path once; gives the outer one's pid.
pid_t spawn_nested_connecting_guest(const std::string& path) {
  guests::Spawned guest = guests::spawn_guest({});
  if (guest.pid != 0) return guest.pid;
  if (unshare(CLONE_NEWPID) != 0) _exit(1);
  if (fork() == 0) connect_and_stay(path);
  for (;;) pause();
}

// A process that has called before is found again by its pidfd, as a caller of the instance that
// its namespace belongs to now.
void test_known_process(const std::string& socket_path) {
  unlink(socket_path.c_str());
  const OwnFd listening = listen_at(socket_path);
  const pid_t outer = spawn_nested_connecting_guest(socket_path);
  const OwnFd connection(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  CHECK(connection.valid());
  constexpr IdentityMethod kPath = IdentityMethod::kPidfdIoctl;
  InstanceTable instances;
  AcceptClock clock;
  NamespaceCache known(kPath);
  const auto identified = [&] {
    return identify(connection.get(), kPath, instances, {clock}, known);
  };
  const auto is_of = [&](Slot slot) {
    const Caller caller = identified();
    return caller.kind == CallerKind::kInstance && caller.slot == slot && caller.root;
  };

  const pid_t inner = identified().pid;
  const uint64_t key = known.key_of(OwnFd(pidfd_open(inner)).get());
  CHECK(key != 0 && key != known.key_of(OwnFd(pidfd_open(outer)).get()));
  CHECK(known.find(key) != 0 && known.find(key + 1) == 0 && known.find(0) == 0);
  CHECK(identified().kind == CallerKind::kUnregistered);

  const auto started = [&](pid_t pid) {
    const Slot slot = instances.add(kPath, pid).slot;
    instances.activate(slot);
    return slot;
  };
  const Slot outer_slot = started(outer);
  CHECK(is_of(outer_slot) && is_of(outer_slot));
  const Slot inner_slot = started(inner);
  CHECK(inner_slot != outer_slot && is_of(inner_slot));
  instances.remove(inner_slot);
  CHECK(is_of(outer_slot));
  instances.remove(outer_slot);
  CHECK(identified().kind == CallerKind::kUnregistered);
  const Slot again = started(inner);
  CHECK(is_of(again));
  instances.remove(again);
  end(outer);
  unlink(socket_path.c_str());
}

// While its pidfd is held, the inode number of a dead guest's namespace is not given to another
// one: on kernels without namespace ids that number is the identity.
void test_held_pidfd_pins_namespace() {
  const auto inode_of = [](pid_t pid) {
    return std::string("/proc/") + std::to_string(pid) + "/ns/pid";
  };
  const auto read_link = [](const std::string& path) {
    char target[64] = {};
    CHECK(readlink(path.c_str(), target, sizeof target - 1) > 0);
    return std::string(target);
  };
  const pid_t first = guests::spawn_guest({}).pid;
  if (first == 0)
    for (;;) pause();
  const OwnFd held(pidfd_open(first));
  const std::string number = read_link(inode_of(first));
  end(first);
  for (int i = 0; i < 200; i++) {
    const pid_t other = guests::spawn_guest({}).pid;
    if (other == 0)
      for (;;) pause();
    CHECK(read_link(inode_of(other)) != number);
    end(other);
  }
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
  answers.keep(3, "long", false, {head, std::string(5000, 'x')});
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

int tokens(RateLimiter& rates, Slot slot, uint64_t now) {
  int taken = 0;
  for (; taken < 1000 && rates.may_work(slot, now); taken++) rates.charge(slot, now);
  return taken;
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

// Slow readers, short files and readers that leave; the SIGPIPE of the last is ignored, as Node
// does.
void test_send_file() {
  signal(SIGPIPE, SIG_IGN);
  constexpr size_t kLength = 4 << 20;
  const std::string content = [] {
    std::string made(kLength, '\0');
    for (size_t i = 0; i < kLength; i++) made[i] = static_cast<char>(i * 31 >> 8);
    return made;
  }();
  FILE* file = tmpfile();
  CHECK(fwrite(content.data(), 1, kLength, file) == kLength && fflush(file) == 0);
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
  OwnFd writer(pair[0]);
  OwnFd reader(pair[1]);
  std::string received;
  const auto read_all = [&] {
    char buffer[65536];
    for (ssize_t n; (n = read(reader.get(), buffer, sizeof buffer)) > 0;) {
      received.append(buffer, static_cast<size_t>(n));
    }
  };
  size_t sent = 7;  // not from the start
  for (int stops = 0; sent < kLength; stops++) {
    const SentFile part = send_file(writer.get(), fileno(file), sent, kLength - sent);
    CHECK(!part.failure);
    CHECK(part.bytes > 0 && (stops == 0 ? part.bytes < kLength - 7 : true));
    sent += part.bytes;
    read_all();
  }
  CHECK(received == content.substr(7));
  const SentFile beyond = send_file(writer.get(), fileno(file), kLength - 10, 20);
  CHECK(beyond.bytes == 10 && beyond.failure.code == ENODATA);
  reader.reset();
  CHECK(send_file(writer.get(), fileno(file), 0, 10).failure.code == EPIPE);
  fclose(file);
}

// Descriptors arrive with the first byte of what was sent, and nothing of them is left behind.
void test_handover() {
  const int before = open_descriptors();
  {
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    const OwnFd sender(pair[0]);
    OwnFd receiver(pair[1]);
    const std::vector<int> given(253, sender.get());
    CHECK(!send_message(sender.get(), "first", given));
    CHECK(!send_message(sender.get(), "second", {}));
    Message message = receive_message(receiver.get());
    CHECK(message.bytes == "first" && message.descriptors.size() == 253 && !message.failure);
    CHECK(!send_message(message.descriptors[7].get(), " third", {}));
    std::string rest;
    while (rest.size() < 12) rest += receive_message(receiver.get()).bytes;
    CHECK(rest == "second third");
    CHECK(send_message(sender.get(), "x", std::vector<int>(254, 0)).code == E2BIG);
    CHECK(send_message(sender.get(), "x", {-1}).code == EBADF);
    message = {};
    receiver.reset();
    CHECK(send_message(sender.get(), "x", {}).code == EPIPE);
  }
  CHECK(notify_manager("/nowhere/at/all", "READY=1", {}).code == ENOENT);
  CHECK(notify_manager(std::string(200, 'x'), "READY=1", {}).code == ENAMETOOLONG);
  CHECK(notify_manager("@devlxd-nobody", "READY=1", {}).code == ECONNREFUSED);
  CHECK(open_descriptors() == before);
}

int run() {
  const std::string socket_path = "/tmp/devlxd-native-test." + std::to_string(getpid());
  test_parsers();
  test_request_heads();
  test_parsers_with_noise();
  test_answers();
  test_rates();
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
