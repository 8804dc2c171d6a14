#include "crowd.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "../../native/guests/message.h"
#include "../../native/guests/spawn.h"

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
    outcome = Outcome();
    visit(address_, paths_, outcome);
    guests::send_message(socket, "done");
  }
  _exit(0);
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
