// What native/ does on threads of libuv's pool, on many threads at once: for ThreadSanitizer, in
// npm run test:sanitize. Everything else in native/ runs on the event loop's thread alone.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <string>
#include <thread>
#include <vector>

#include "os/send_file.h"
#include "os/unix_socket.h"
#include "test/check.h"

namespace devlxd {
namespace {

constexpr int kThreads = 8;
constexpr int kRounds = 1000;
constexpr size_t kPart = 20'000;

struct Pair {
  OwnFd one;
  OwnFd other;
};

Pair make_pair(int flags) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, pair) == 0);
  return {OwnFd(pair[0]), OwnFd(pair[1])};
}

// All threads send from one descriptor of the file, each its own part of it.
void send_parts(int file, int number) {
  const auto letter = static_cast<char>('a' + number);
  for (int round = 0; round < kRounds; round++) {
    const Pair pair = make_pair(SOCK_NONBLOCK);
    const SentFile sent = send_file(pair.one.get(), file, number * kPart, kPart);
    CHECK(sent.bytes == kPart && !sent.failure);
    std::string received(kPart + 1, ' ');
    const ssize_t size = read(pair.other.get(), received.data(), received.size());
    CHECK(size > 0 && received.substr(0, size) == std::string(size, letter));
  }
}

void send_messages(int socket, const std::vector<int>& descriptors) {
  for (int round = 0; round < kRounds; round++) {
    CHECK(!send_message(socket, "number " + std::to_string(round) + "\n", descriptors));
  }
}

void receive_messages(int socket, size_t most_descriptors) {
  std::string text;
  size_t descriptors = 0;
  for (;;) {
    const Message message = receive_message(socket);
    CHECK(!message.failure);
    if (message.bytes.empty()) break;
    text += message.bytes;
    descriptors += message.descriptors.size();
    for (const OwnFd& fd : message.descriptors) CHECK(fcntl(fd.get(), F_GETFD) == FD_CLOEXEC);
  }
  CHECK(text.ends_with("number " + std::to_string(kRounds - 1) + "\n"));
  CHECK(descriptors == most_descriptors * kRounds);
}

// One thread sends what another receives; all pairs at once, descriptors of all in one table.
void exchange_messages(int file) {
  const std::vector<int> descriptors = {file, file};
  Pair pair = make_pair(0);
  std::thread receiver([&] { receive_messages(pair.other.get(), descriptors.size()); });
  send_messages(pair.one.get(), descriptors);
  pair.one.reset();
  receiver.join();
}

FILE* make_file() {
  FILE* file = tmpfile();
  CHECK(file != nullptr);
  for (int number = 0; number < kThreads; number++) {
    const std::string part(kPart, static_cast<char>('a' + number));
    CHECK(fwrite(part.data(), 1, part.size(), file) == part.size());
  }
  CHECK(fflush(file) == 0);
  return file;
}

int run() {
  FILE* file = make_file();
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreads; number++) {
    threads.emplace_back(send_parts, fileno(file), number);
    if (number % 2 == 0) threads.emplace_back(exchange_messages, fileno(file));
  }
  for (std::thread& thread : threads) thread.join();
  fclose(file);
  printf("threads: %d checks passed\n", checks.load());
  return 0;
}

}  // namespace
}  // namespace devlxd

int main() { return devlxd::run(); }
