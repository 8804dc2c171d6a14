// The end of a gate: which connections go to the next process, and which are closed, and when.
#include <sys/socket.h>

#include "gate/gate.h"
#include "os/memory_file.h"
#include "os/peer_credentials.h"

namespace devlxd {
namespace {

// By a look, since vsock(7) has no FIONREAD before Linux 6.17.
bool has_unread(int fd) {
  char byte;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

// From the moment of SHUT_RD on the kernel refuses what the peer writes (EPIPE), and what it had
// written before can still be read: so nothing that was sent is lost without a sign. Of vsock(7) it
// cannot be read any more, but its sender is told as well: the connection is reset.
bool shut_quiet(int fd) {
  if (has_unread(fd)) return false;
  shutdown(fd, SHUT_RD);
  return !has_unread(fd);
}

}  // namespace

std::vector<HandoverConnection> Gate::take_for_handover() {
  answer_throttled();
  return drain(true);
}

std::vector<HandoverConnection> Gate::drain(bool keep) {
  std::vector<HandoverConnection> connections;
  for (PendingCaller& waiting : keep ? pending_.hand_over() : pending_.take_all()) {
    if (keep) {
      const uint64_t start_ticks = waiting.caller.start_ticks;
      connections.push_back({.fd = std::move(waiting.fd),
                             .slot = kNoSlot,
                             .root = false,
                             .start_ticks = start_ticks,
                             .ticket = waiting.ticket,
                             .part = OwnFd()});
    } else {
      time_out(std::move(waiting));
    }
  }
  for (Slot slot = 0; instances_.at(slot) != nullptr; slot++) {
    drain_list(instances_.at(slot)->first, keep, connections);
  }
  drain_list(without_instance_, keep, connections);
  return connections;
}

void Gate::drain_list(Connection* first, bool keep, std::vector<HandoverConnection>& connections) {
  drain_cursor_ = first;
  while (drain_cursor_ != nullptr) {
    Connection& connection = *drain_cursor_;
    drain_cursor_ = connection.next;  // unlink() moves it on when closing one closes another
    if (bridge_.is_backed_up(connection)) continue;
    std::optional<HandoverConnection> parting;
    if (keep && connection.is_between_responses()) parting = handed_over(connection);
    if (parting) {
      connections.push_back(std::move(*parting));
      bridge_.close(connection);
    } else if (!connection.holds_request() && shut_quiet(bridge_.fd_of(connection))) {
      bridge_.close(connection);
    }
  }
}

// Nothing: no other process can go on with it.
std::optional<HandoverConnection> Gate::handed_over(Connection& connection) {
  const Caller& caller = connection.caller;
  const bool of_instance = caller.kind == CallerKind::kInstance;
  // The pid may have been reused since the accept.
  if (!of_instance && method_ == IdentityMethod::kProcfs) return std::nullopt;
  // What is identified again may be held, and then nothing was read.
  if (!of_instance && connection.held != nullptr) return std::nullopt;
  OwnFd copy = OwnFd::duplicate(bridge_.fd_of(connection));
  OwnFd part = connection.held != nullptr ? memory_file(*connection.held) : OwnFd();
  if (!copy.valid() || (connection.held != nullptr && !part.valid())) return std::nullopt;
  const Slot slot = of_instance ? caller.slot : kNoSlot;
  return HandoverConnection{std::move(copy), slot, caller.root, 0, kNoTicket, std::move(part)};
}

bool Gate::readmit(OwnFd fd, Slot slot, bool root, OwnFd part) {
  const auto peer = peer_credentials(fd.get());
  if (!peer) return false;
  Caller caller;
  caller.kind = CallerKind::kInstance;
  caller.slot = slot;
  caller.root = root;
  caller.pid = peer->pid;
  caller.uid = peer->uid;
  caller.gid = peer->gid;
  const Instance* instance = instances_.at(slot);
  if (instance == nullptr || !instance->running || !has_room_for(caller)) return false;
  std::string read = part.valid() ? contents_of(part.get(), RequestReader::kMostHeld) : "";
  if (part.valid() && read.empty()) return false;
  Connection* connection = admit_as(std::move(fd), std::move(caller));
  if (connection != nullptr && !read.empty()) reader_.begin_with(*connection, std::move(read));
  return connection != nullptr;
}

}  // namespace devlxd
