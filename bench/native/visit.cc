#include "visit.h"

#include <sys/socket.h>

#include <cerrno>
#include <string_view>

#include "answer_parser.h"
#include "os/own_fd.h"
#include "sockets.h"

namespace devlxd::bench {
namespace {

enum class Answer { kRight, kOther, kNone };

constexpr int kOk = 200;

Answer read_answer(int fd) {
  AnswerParser answer(nullptr);
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t size = read(fd, buffer, sizeof buffer);
    if (size < 0) return Answer::kNone;
    errno = 0;  // an answer that ends early is not the kernel's fault
    if (size == 0) return Answer::kNone;
    std::string_view data(buffer, size);
    switch (answer.feed(data)) {
      case AnswerParser::Outcome::kMore:
        continue;
      case AnswerParser::Outcome::kBroken:
        return Answer::kNone;
      case AnswerParser::Outcome::kDone:
        return answer.status() == kOk && data.empty() ? Answer::kRight : Answer::kOther;
    }
  }
}

// connect(2) of a blocking socket waits while the backlog is full.
Answer ask(const sockaddr_un& address, const std::string& path) {
  const OwnFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (!fd.valid() || connect(fd.get(), generic, sizeof address) != 0) return Answer::kNone;
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: lxd\r\n\r\n";
  const ssize_t sent = send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
  return sent == static_cast<ssize_t>(request.size()) ? read_answer(fd.get()) : Answer::kNone;
}

}  // namespace

void visit(const sockaddr_un& address, const std::vector<std::string>& paths, Outcome& outcome) {
  for (const std::string& path : paths) {
    const uint64_t began = now();
    switch (ask(address, path)) {
      case Answer::kRight:
        outcome.nanoseconds[outcome.answered++] = now() - began;
        break;
      case Answer::kOther:
        outcome.mismatches++;
        break;
      case Answer::kNone:
        if (outcome.errors++ == 0) outcome.first_error = errno;
    }
  }
  outcome.finished = now();
}

}  // namespace devlxd::bench
