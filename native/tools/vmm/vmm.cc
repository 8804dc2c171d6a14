// vmm CID ROOT_SOCKET USER_SOCKET: a virtual machine as far as the kernel of the host can tell,
// without one. Each connection to ROOT_SOCKET becomes one that the machine's root makes to port
// 1234 of the host, from a port below 1024; to USER_SOCKET, from one above. Says "up", and "sent"
// when the kernel of the host has what a client has written.
#include <linux/vm_sockets.h>
#include <poll.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "os/unix_socket.h"
#include "tools/vmm/vhost_vsock.h"

namespace devlxd::vmm {
namespace {

constexpr uint32_t kHostPort = 1234;
constexpr uint32_t kFirstRootPort = 512;
constexpr uint32_t kFirstUserPort = 5000;
constexpr uint32_t kRoomForAnswers = 1 << 18;
constexpr size_t kMostAtOnce = 4096;
constexpr mode_t kForAll = 0666;

void say(const char* word) {
  puts(word);
  fflush(stdout);
}

struct Client {
  OwnFd fd;
  bool connected = false;
  bool told_end = false;
  uint32_t taken = 0;  // bytes of the host
};

class Machine {
 public:
  Machine(VhostVsock& device, uint64_t cid) : device_(device), cid_(cid) {}

  [[noreturn]] void run(const OwnFd& root, const OwnFd& user) {
    for (;;) {
      std::vector<pollfd> polled = {
          {device_.event(), POLLIN, 0}, {root.get(), POLLIN, 0}, {user.get(), POLLIN, 0}};
      std::vector<uint32_t> ports;
      for (const auto& [port, client] : clients_) {
        const bool reads = client.connected && !client.told_end;
        polled.push_back({client.fd.get(), static_cast<short>(reads ? POLLIN : 0), 0});
        ports.push_back(port);
      }
      poll(polled.data(), polled.size(), -1);
      uint64_t count = 0;
      if (read(device_.event(), &count, sizeof count) < 0) count = 0;
      while (const auto packet = device_.receive()) take(*packet);
      if (polled[1].revents != 0) accept_from(root.get(), next_root_++);
      if (polled[2].revents != 0) accept_from(user.get(), next_user_++);
      for (size_t i = 0; i < ports.size(); i++) pass_on(ports[i], polled[i + 3].revents);
    }
  }

 private:
  void send(uint16_t operation, uint32_t port, uint32_t taken, std::string data = {},
            uint32_t flags = 0) {
    Packet packet;
    packet.head.src_cid = cid_;
    packet.head.dst_cid = VMADDR_CID_HOST;
    packet.head.src_port = port;
    packet.head.dst_port = kHostPort;
    packet.head.len = static_cast<uint32_t>(data.size());
    packet.head.type = VIRTIO_VSOCK_TYPE_STREAM;
    packet.head.op = operation;
    packet.head.flags = flags;
    packet.head.buf_alloc = kRoomForAnswers;
    packet.head.fwd_cnt = taken;
    packet.data = std::move(data);
    device_.send(packet);
  }

  void accept_from(int listening, uint32_t port) {
    OwnFd fd(accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) return;
    clients_[port].fd = std::move(fd);
    send(VIRTIO_VSOCK_OP_REQUEST, port, 0);
  }

  void pass_on(uint32_t port, short events) {
    const auto found = clients_.find(port);
    if (events == 0 || found == clients_.end()) return;
    Client& client = found->second;
    if ((events & POLLIN) != 0) {
      std::string data(kMostAtOnce, '\0');
      const ssize_t size = read(client.fd.get(), data.data(), data.size());
      if (size > 0) {
        data.resize(static_cast<size_t>(size));
        send(VIRTIO_VSOCK_OP_RW, port, client.taken, std::move(data));
        return say("sent");
      }
    }
    const bool gone = (events & (POLLHUP | POLLERR)) != 0;
    const uint32_t ended =
        gone ? VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV : VIRTIO_VSOCK_SHUTDOWN_SEND;
    if (gone || !client.told_end) send(VIRTIO_VSOCK_OP_SHUTDOWN, port, client.taken, {}, ended);
    client.told_end = true;
    if (gone) clients_.erase(found);
  }

  void take(const Packet& packet) {
    const uint32_t port = packet.head.dst_port;
    const auto found = clients_.find(port);
    if (found == clients_.end()) {
      if (packet.head.op != VIRTIO_VSOCK_OP_RST) send(VIRTIO_VSOCK_OP_RST, port, 0);
      return;
    }
    Client& client = found->second;
    switch (packet.head.op) {
      case VIRTIO_VSOCK_OP_RESPONSE:
        client.connected = true;
        break;
      case VIRTIO_VSOCK_OP_RW:
        if (::send(client.fd.get(), packet.data.data(), packet.data.size(), MSG_NOSIGNAL) < 0)
          break;
        client.taken += packet.head.len;
        send(VIRTIO_VSOCK_OP_CREDIT_UPDATE, port, client.taken);
        break;
      case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
        send(VIRTIO_VSOCK_OP_CREDIT_UPDATE, port, client.taken);
        break;
      case VIRTIO_VSOCK_OP_SHUTDOWN:
        shutdown(client.fd.get(), SHUT_WR);
        if ((packet.head.flags & VIRTIO_VSOCK_SHUTDOWN_RCV) == 0) break;
        send(VIRTIO_VSOCK_OP_RST, port, client.taken);
        clients_.erase(found);
        break;
      case VIRTIO_VSOCK_OP_RST:
        clients_.erase(found);
        break;
      default:
        break;
    }
  }

  VhostVsock& device_;
  uint64_t cid_;
  std::map<uint32_t, Client> clients_;  // by the machine's port
  uint32_t next_root_ = kFirstRootPort;
  uint32_t next_user_ = kFirstUserPort;
};

int fail(const Failure& failure) {
  fprintf(stderr, "vmm: %s: %s\n", failure.call, strerror(failure.code));
  return 1;
}

int run(int argc, char** argv) {
  if (argc != 4) return fail({"vmm CID ROOT_SOCKET USER_SOCKET", EINVAL});
  const uint64_t cid = strtoull(argv[1], nullptr, 10);
  VhostVsock device;
  if (const Failure failure = device.start(cid)) return fail(failure);
  constexpr int kBacklog = 64;
  Failure failure;
  const OwnFd root = listen_unix(argv[2], kForAll, kBacklog, failure);
  const OwnFd user = listen_unix(argv[3], kForAll, kBacklog, failure);
  if (failure) return fail(failure);
  say("up");
  Machine(device, cid).run(root, user);
}

}  // namespace
}  // namespace devlxd::vmm

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  return devlxd::vmm::run(argc, argv);
}
