#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "identity/caller.h"
#include "identity/instance_table.h"
#include "identity/namespace_cache.h"
#include "test/check.h"
#include "test/native_test.h"
#include "tools/guests/spawn.h"

namespace devlxd {
namespace {

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

// A guest in a guest, which connects to the socket at path once; gives the outer one's pid.
pid_t spawn_nested_connecting_guest(const std::string& path) {
  guests::Spawned guest = guests::spawn_guest({});
  if (guest.pid != 0) return guest.pid;
  if (unshare(CLONE_NEWPID) != 0) _exit(1);
  if (fork() == 0) connect_and_stay(path);
  for (;;) pause();
}

}  // namespace

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
    CHECK(instance_of(connection.get(), unregistered, path, instances) == kNoSlot);

    const Registration made = instances.add(path, guest);
    CHECK(made.outcome == RegisterOutcome::kRegistered);
    CHECK(instances.add(path, guest).outcome == RegisterOutcome::kTaken);
    CHECK(instances.add(path, getpid()).outcome == RegisterOutcome::kOwnNamespace);
    CHECK(instance_of(connection.get(), unregistered, path, instances) == kNoSlot);
    instances.activate(made.slot);
    CHECK(instance_of(connection.get(), unregistered, path, instances) == made.slot);
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

// A process that has called before is found again by its pidfd: as a caller of the instance that
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

}  // namespace devlxd
