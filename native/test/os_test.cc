#include <dirent.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>

#include "os/send_file.h"
#include "os/unix_socket.h"
#include "test/check.h"
#include "test/native_test.h"

namespace devlxd {

int open_descriptors() {
  int count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (readdir(directory) != nullptr) count++;
  closedir(directory);
  return count;
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
  CHECK(file != nullptr);
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

}  // namespace devlxd
