// vsock_test: on a host with /dev/vhost-vsock, and so in a machine of npm run test:vm. A connection
// whose machine has died is not the next machine's that has its CID.
#include "os/vsock.h"

#include <linux/vm_sockets.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string_view>

#include "identity/caller.h"
#include "test/check.h"
#include "tools/vmm/vhost_vsock.h"

namespace devlxd {
namespace {

constexpr uint32_t kPort = 1235;  // devlxd of the same host may have 1234
constexpr uint32_t kCid = 77;
constexpr int kBacklog = 16;
constexpr int kPatienceMilliseconds = 60'000;
constexpr std::string_view kRequest = "GET /1.0 HTTP/1.1\r\nHost: lxd\r\n\r\n";

enum class Asks { kNothing, kOnce };

vmm::Packet packet(uint16_t operation, std::string_view data = {}) {
  vmm::Packet packet;
  packet.head.src_cid = kCid;
  packet.head.dst_cid = VMADDR_CID_HOST;
  packet.head.src_port = kFirstUserPort - 1;
  packet.head.dst_port = kPort;
  packet.head.len = static_cast<uint32_t>(data.size());
  packet.head.type = VIRTIO_VSOCK_TYPE_STREAM;
  packet.head.op = operation;
  packet.head.buf_alloc = 1 << 16;
  packet.data = data;
  return packet;
}

[[noreturn]] void be_machine(Asks asks, int up) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  vmm::VhostVsock device;
  CHECK(!device.start(kCid));
  if (asks == Asks::kOnce) {
    device.send(packet(VIRTIO_VSOCK_OP_REQUEST));
    pollfd answered = {device.event(), POLLIN, 0};
    CHECK(poll(&answered, 1, kPatienceMilliseconds) == 1);
    device.send(packet(VIRTIO_VSOCK_OP_RW, kRequest));
  }
  CHECK(write(up, "!", 1) == 1);
  for (;;) pause();
}

// A VMM with a machine of kCid, which has asked when this comes back.
pid_t boot(Asks asks) {
  int up[2];
  CHECK(pipe(up) == 0);
  const pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) be_machine(asks, up[1]);
  close(up[1]);
  char byte = 0;
  CHECK(read(up[0], &byte, 1) == 1);
  close(up[0]);
  return pid;
}

void end(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

class Host {
 public:
  Host() : method_(best_identity_method()), known_(method_) {
    Failure failure;
    listening_ = listen_vsock(kPort, kBacklog, failure);
    CHECK(!failure);
  }

  Slot start(pid_t pid) {
    const Registration made = instances_.add_vm(method_, pid, kCid);
    CHECK(made.outcome == RegisterOutcome::kRegistered);
    instances_.activate(made.slot);
    return made.slot;
  }
  void stop(Slot slot) { instances_.remove(slot); }

  OwnFd accepted() const {
    OwnFd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    CHECK(fd.valid());
    return fd;
  }
  Caller caller(const OwnFd& fd) {
    return identify(fd.get(), method_, instances_, PeerProof{clock_}, known_);
  }
  Slot instance(const OwnFd& fd, const Caller& caller) const {
    return instance_of(fd.get(), caller, method_, instances_);
  }

 private:
  IdentityMethod method_;
  InstanceTable instances_;
  AcceptClock clock_;
  NamespaceCache known_;
  OwnFd listening_;
};

// What makes the guard needed: the kernel gives away what a dead machine has sent.
void check_is_readable(const OwnFd& fd) {
  char bytes[kRequest.size()] = {};
  CHECK(recv(fd.get(), bytes, sizeof bytes, 0) == static_cast<ssize_t>(sizeof bytes));
  CHECK(std::string_view(bytes, sizeof bytes) == kRequest);
}

void test_living(Host& host) {
  const pid_t vmm = boot(Asks::kOnce);
  const Slot slot = host.start(vmm);
  const OwnFd fd = host.accepted();
  const Caller caller = host.caller(fd);
  CHECK(caller.kind == CallerKind::kInstance && caller.slot == slot && caller.root);
  check_is_readable(fd);
  host.stop(slot);
  end(vmm);
}

// It waited to be accepted when its machine died, and the next one is registered before it is.
void test_dead_in_queue(Host& host) {
  end(boot(Asks::kOnce));
  const pid_t next = boot(Asks::kNothing);
  const Slot slot = host.start(next);
  const OwnFd fd = host.accepted();
  const Caller caller = host.caller(fd);
  CHECK(caller.kind == CallerKind::kUnidentified && caller.cid == kNoCid);
  check_is_readable(fd);
  host.stop(slot);
  end(next);
}

// It was held when its machine died, and nothing has looked at it until the next one is registered.
void test_dead_while_held(Host& host) {
  const pid_t first = boot(Asks::kOnce);
  const OwnFd fd = host.accepted();
  const Caller held = host.caller(fd);
  CHECK(held.kind == CallerKind::kUnregistered && held.cid == kCid);
  end(first);
  const pid_t next = boot(Asks::kNothing);
  const Slot slot = host.start(next);
  CHECK(host.instance(fd, held) == kNoSlot);
  check_is_readable(fd);
  host.stop(slot);
  end(next);
}

int run() {
  Host host;
  test_living(host);
  test_dead_in_queue(host);
  test_dead_while_held(host);
  printf("vsock: %d checks passed\n", checks.load());
  return 0;
}

}  // namespace
}  // namespace devlxd

int main() { return devlxd::run(); }
