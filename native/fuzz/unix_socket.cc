// native/os/unix_socket.cc: what one side sends, in any pieces and with any descriptors, arrives at
// the other, whatever it looks like, and nothing stays open.
#include "os/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <string>
#include <vector>

#include "fuzz/require.h"
#include "fuzz/steps.h"

namespace {

using devlxd::Message;
using devlxd::OwnFd;

constexpr size_t kMostDescriptors = 253;
// Fewer messages than a socket takes (there is one thread only), and fewer descriptors on their way
// than RLIMIT_NOFILE lets a user have.
constexpr size_t kMostUnread = 4;

int lowest_free() { return OwnFd(fcntl(0, F_DUPFD_CLOEXEC, 0)).get(); }

ino_t inode_of(int fd) {
  struct stat status = {};
  REQUIRE(fstat(fd, &status) == 0);
  return status.st_ino;
}

class Conversation {
 public:
  Conversation() {
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    sender_ = OwnFd(pair[0]);
    receiver_ = OwnFd(pair[1]);
  }

  void send(std::string_view bytes, size_t descriptors) {
    const devlxd::Failure failure =
        devlxd::send_message(sender_.get(), bytes, std::vector<int>(descriptors, sender_.get()));
    REQUIRE(failure.code == (descriptors > kMostDescriptors ? E2BIG : 0));
    if (failure) return;
    sent_ += bytes;
    if (!bytes.empty()) sent_descriptors_ += descriptors;
    if (++unread_ == kMostUnread) receive_all();
  }

  void receive() {
    if (received_.size() == sent_.size()) return;
    const Message message = devlxd::receive_message(receiver_.get());
    REQUIRE(!message.failure);
    REQUIRE(!message.bytes.empty());
    received_ += message.bytes;
    received_descriptors_ += message.descriptors.size();
    for (const OwnFd& fd : message.descriptors)
      REQUIRE(inode_of(fd.get()) == inode_of(sender_.get()));
    REQUIRE(sent_.starts_with(received_));
  }

  void receive_all() {
    while (received_.size() < sent_.size()) receive();
    REQUIRE(received_descriptors_ == sent_descriptors_);
    unread_ = 0;
  }

  void end() {
    receive_all();
    sender_.reset();
    const Message last = devlxd::receive_message(receiver_.get());
    REQUIRE(!last.failure && last.bytes.empty() && last.descriptors.empty());
  }

 private:
  OwnFd sender_;
  OwnFd receiver_;
  std::string sent_;
  std::string received_;
  size_t unread_ = 0;  // messages, at most
  size_t sent_descriptors_ = 0;
  size_t received_descriptors_ = 0;
};

void converse(devlxd::fuzz::Steps& steps) {
  Conversation conversation;
  while (!steps.done()) {
    const unsigned step = steps.number();
    if (step % 4 == 0) {
      conversation.receive();
      continue;
    }
    const size_t descriptors = step % 4 == 1 ? steps.number() : 0;
    std::string bytes(steps.text(steps.number()));
    if (step % 4 == 3) bytes.resize(bytes.size() * 64, 'x');
    conversation.send(bytes, descriptors);
  }
  conversation.end();
}

// No socket has such a name; a truncated one might be in use.
void check_address(std::string_view text) {
  const std::string path = "@devlxd-fuzz\n" + std::string(text);
  const int expected = path.size() < sizeof sockaddr_un::sun_path ? ECONNREFUSED : ENAMETOOLONG;
  REQUIRE(devlxd::notify_manager(path, "READY=1", {}).code == expected);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int free_before = lowest_free();
  devlxd::fuzz::Steps steps(data, size);
  converse(steps);
  check_address({reinterpret_cast<const char*>(data), size});
  REQUIRE(lowest_free() == free_before);
  return 0;
}
