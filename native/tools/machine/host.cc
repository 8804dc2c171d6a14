// The first program of a virtual machine that is a host itself: loads the modules in /modules,
// becomes root of the file system that QEMU shares (9p, tag "root"), and does what the host around
// it asks for on vsock port 5000. A connection begins with a line, and goes on as what that says:
//   run COMMAND     the standard streams of a shell
//   connect PATH    a connection to a Unix socket
//   vsock CID PORT  a connection by vsock
#include <linux/vm_sockets.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "os/unix_socket.h"
#include "os/vsock.h"
#include "tools/machine/copy.h"
#include "tools/machine/modules.h"

namespace devlxd {
namespace {

constexpr const char* kRoot = "/root";
constexpr uint32_t kPort = 5000;
constexpr int kBacklog = 64;

void mount_at(const std::string& directory, const char* kind, const char* source,
              const char* options = "", unsigned long flags = 0) {
  if (mount(source, directory.c_str(), kind, flags, options) != 0) perror(directory.c_str());
}

void enter_root() {
  const std::string root = kRoot;
  mkdir(kRoot, 0755);
  mount_at(root, "9p", "root", "trans=virtio,version=9p2000.L,msize=512000,cache=loose", MS_RDONLY);
  mount_at(root + "/proc", "proc", "proc");
  mount_at(root + "/sys", "sysfs", "sysfs");
  mount_at(root + "/dev", "devtmpfs", "devtmpfs");
  mount_at(root + "/run", "tmpfs", "tmpfs", "mode=755");
  if (chroot(kRoot) != 0 || chdir("/run") != 0) perror(kRoot);
  setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
  setenv("HOME", "/run", 1);
  setenv("TMPDIR", "/run", 1);
}

void relay(int outside, int inside) {
  for (;;) {
    pollfd ends[] = {{outside, POLLIN, 0}, {inside, POLLIN, 0}};
    poll(ends, 2, -1);
    if (ends[0].revents != 0 && !copy(outside, inside)) return;
    if (ends[1].revents != 0 && !copy(inside, outside)) return;
  }
}

void run_shell(int connection, const std::string& command) {
  signal(SIGPIPE, SIG_DFL);
  signal(SIGCHLD, SIG_DFL);
  for (int stream = 0; stream <= 2; stream++) dup2(connection, stream);
  execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
  perror("sh");
}

OwnFd connect_by_vsock(const std::string& words) {
  sockaddr_vm address = {};
  address.svm_family = AF_VSOCK;
  if (sscanf(words.c_str(), "%u %u", &address.svm_cid, &address.svm_port) != 2) return OwnFd();
  OwnFd fd(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int result = connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  return result == 0 ? std::move(fd) : OwnFd();
}

std::string first_line(int fd) {
  std::string line;
  for (char byte = 0; read(fd, &byte, 1) == 1 && byte != '\n';) line += byte;
  return line;
}

void serve(int connection) {
  const std::string line = first_line(connection);
  const size_t space = line.find(' ');
  const std::string verb = line.substr(0, space);
  const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
  if (verb == "run") return run_shell(connection, rest);
  Failure failure;
  const OwnFd inside = verb == "vsock" ? connect_by_vsock(rest) : connect_unix(rest, failure);
  if (inside.valid()) relay(connection, inside.get());
}

[[noreturn]] void serve_all() {
  signal(SIGCHLD, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  Failure failure;
  const OwnFd listening = listen_vsock(kPort, kBacklog, failure);
  if (failure) perror(failure.call);
  printf("machine is up\n");
  fflush(stdout);
  for (;;) {
    pollfd ready = {listening.get(), POLLIN, 0};
    poll(&ready, 1, -1);
    const OwnFd connection(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection.valid() || fork() != 0) continue;
    serve(connection.get());
    _exit(0);
  }
}

}  // namespace
}  // namespace devlxd

int main() {
  load_modules();
  devlxd::enter_root();
  devlxd::serve_all();
}
