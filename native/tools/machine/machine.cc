// The first and only program of a virtual machine in tests: loads the modules in /modules, starts
// /devlxd-agent, and lets tests on the host connect to its socket, from inside, as root (vsock port
// 5000) or as user 1000 (port 5001). Connections of the host come from the VMM's own socket.
#include <linux/vm_sockets.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "os/unix_address.h"
#include "tools/machine/copy.h"
#include "tools/machine/modules.h"

using devlxd::UnixAddress;

namespace {

constexpr const char* kSocket = "/dev/lxd/sock";
constexpr unsigned kRootPort = 5000;
constexpr unsigned kUserPort = 5001;
constexpr uid_t kUser = 1000;

void start_agent() {
  if (fork() != 0) return;
  execl("/devlxd-agent", "devlxd-agent", nullptr);
  perror("devlxd-agent");
  _exit(1);
}

int listen_vsock(unsigned port) {
  sockaddr_vm address = {};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = port;
  const int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(fd, 64) != 0)
    perror("listen");
  return fd;
}

void relay(int outside, uid_t uid) {
  const UnixAddress address(kSocket);
  const int inside = socket(AF_UNIX, SOCK_STREAM, 0);
  if (setuid(uid) != 0) return;
  if (connect(inside, address.get(), address.length) != 0) return;
  for (;;) {
    pollfd ends[] = {{outside, POLLIN, 0}, {inside, POLLIN, 0}};
    poll(ends, 2, -1);
    if (ends[0].revents != 0 && !copy(outside, inside)) return;
    if (ends[1].revents != 0 && !copy(inside, outside)) return;
  }
}

void accept_on(int listening, uid_t uid) {
  const int outside = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
  if (fork() == 0) {
    relay(outside, uid);
    _exit(0);
  }
  close(outside);
}

}  // namespace

int main() {
  signal(SIGCHLD, SIG_IGN);
  mkdir("/proc", 0755);
  mount("proc", "/proc", "proc", 0, nullptr);
  mkdir("/dev", 0755);
  mount("dev", "/dev", "devtmpfs", 0, nullptr);
  load_modules();
  start_agent();
  while (access(kSocket, F_OK) != 0) usleep(1000);
  pollfd ports[] = {{listen_vsock(kRootPort), POLLIN, 0}, {listen_vsock(kUserPort), POLLIN, 0}};
  printf("machine is up\n");
  fflush(stdout);
  for (;;) {
    poll(ports, 2, -1);
    if (ports[0].revents != 0) accept_on(ports[0].fd, 0);
    if (ports[1].revents != 0) accept_on(ports[1].fd, kUser);
  }
}
