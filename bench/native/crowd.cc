#include "crowd.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "tools/guests/message.h"
#include "tools/guests/spawn.h"

namespace devlxd::bench {
namespace {

using guests::Message;

constexpr int kPatienceSeconds = 120;  // with a guest that visits

}  // namespace

// All are killed before the first is waited for: the kernel takes its time with each.
Crowd::~Crowd() {
  for (const Guest& guest : guests_) kill(guest.pid, SIGKILL);
  for (const Guest& guest : guests_) waitpid(guest.pid, nullptr, 0);
  if (outcomes_ != nullptr) munmap(outcomes_, reserved_);
}

std::string Crowd::spawn(size_t count) {
  reserved_ = count * sizeof(Outcome);
  void* shared =
      mmap(nullptr, reserved_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return guests::describe("mmap", errno);
  outcomes_ = static_cast<Outcome*>(shared);
  guests::SpawnOptions options;
  options.only_socket = true;
  for (size_t i = 0; i < count; i++) {
    guests::Spawned spawned = guests::spawn_guest(options);
    if (spawned.pid == 0) live(spawned.socket.get(), outcomes_[i]);
    if (spawned.pid < 0) return spawned.error;
    guests::set_patience(spawned.socket.get(), kPatienceSeconds);
    guests_.push_back({spawned.pid, std::move(spawned.socket)});
  }
  return "";
}

void Crowd::live(int socket, Outcome& outcome) const {
  Message message;
  while (guests::receive_message(socket, message)) {
    if (message.text == "connect") {
      hand_over(socket);
      continue;
    }
    outcome = Outcome();
    visit(address_, paths_, outcome);
    guests::send_message(socket, "done");
  }
  _exit(0);
}

void Crowd::hand_over(int socket) const {
  const OwnFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Blocking, so that it waits while the backlog is full.
  const int result =
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_);
  guests::send_message(socket, result == 0 ? "connected" : "failed", result == 0 ? fd.get() : -1);
}

OwnFd Crowd::connect(size_t guest, Failure& failure) {
  Message message;
  const int socket = guests_[guest].socket.get();
  if (!guests::send_message(socket, "connect") || !guests::receive_message(socket, message)) {
    failure = {"a guest", ECONNRESET};
    return OwnFd();
  }
  if (!message.fd.valid()) failure = {"connect in a guest", ECONNREFUSED};
  if (!failure && fcntl(message.fd.get(), F_SETFL, O_NONBLOCK) != 0) failure = {"fcntl", errno};
  return std::move(message.fd);
}

std::vector<pid_t> Crowd::pids() const {
  std::vector<pid_t> pids;
  pids.reserve(guests_.size());
  for (const Guest& guest : guests_) pids.push_back(guest.pid);
  return pids;
}

bool Crowd::storm() {
  for (const Guest& guest : guests_) {
    if (!guests::send_message(guest.socket.get(), "go")) return false;
  }
  Message message;
  for (const Guest& guest : guests_) {
    if (!guests::receive_message(guest.socket.get(), message)) return false;
  }
  return true;
}

}  // namespace devlxd::bench
