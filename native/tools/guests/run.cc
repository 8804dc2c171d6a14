#include "tools/guests/run.h"

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

namespace devlxd::guests {
namespace {

pid_t guest = -1;

void end_guest(int) {
  if (guest > 0) kill(guest, SIGKILL);
}

int code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// The socket's directory as a container runtime should mount it: connect(2) works on a read-only
// mount, and the guest cannot move the socket away.
bool bind(const std::string& source, const std::string& target) {
  constexpr unsigned long kFlags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  return mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
         mount(nullptr, target.c_str(), nullptr, MS_REMOUNT | MS_BIND | kFlags, nullptr) == 0;
}

bool bind_all(const RunOptions& options) {
  for (const auto& [source, target] : options.binds) {
    if (bind(source, target)) continue;
    complain("mount " + source + " at " + target, errno);
    return false;
  }
  return true;
}

// pid 1 of the guest: starts the command, reaps whatever ends, and ends with the command.
[[noreturn]] void run_init(RunOptions& options) {
  if (!bind_all(options)) _exit(125);
  if (options.pid_fd >= 0) close(options.pid_fd);
  char go;
  if (options.wait_fd >= 0 && read(options.wait_fd, &go, 1) < 0) _exit(125);
  const pid_t command = fork();
  if (command == 0) {
    if (options.wait_fd >= 0) close(options.wait_fd);
    signal(SIGPIPE, SIG_DFL);
    execvp(options.command[0], options.command.data());
    complain(std::string("exec ") + options.command[0], errno);
    _exit(127);
  }
  for (;;) {
    int status = 0;
    const pid_t ended = wait(&status);
    if (ended == command) _exit(code_of(status));
    if (ended < 0 && errno == ECHILD) _exit(125);
  }
}

}  // namespace

int run(RunOptions options) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  options.command.push_back(nullptr);
  const Spawned spawned = spawn_guest(options.spawn);
  guest = spawned.pid;
  if (guest == 0) run_init(options);
  if (guest < 0) {
    fprintf(stderr, "guests: %s\n", spawned.error.c_str());
    return 125;
  }
  signal(SIGINT, end_guest);
  signal(SIGTERM, end_guest);
  if (options.pid_fd >= 0) {
    dprintf(options.pid_fd, "%d\n", guest);
    close(options.pid_fd);
  }
  if (options.wait_fd >= 0) close(options.wait_fd);
  int status = 0;
  while (waitpid(guest, &status, 0) < 0 && errno == EINTR) continue;
  return code_of(status);
}

}  // namespace devlxd::guests
