#include "spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace devlxd::guests {
namespace {

constexpr unsigned kMappedIds = 65536;

bool map_ids(pid_t pid, const SpawnOptions& options) {
  const std::string proc = "/proc/" + std::to_string(pid) + "/";
  const bool as_root = geteuid() == 0;
  const auto line = [&](unsigned own) {
    return as_root ? "0 " + std::to_string(options.uid_base) + " " + std::to_string(kMappedIds)
                   : "0 " + std::to_string(own) + " 1";
  };
  if (!as_root && !write_file(proc + "setgroups", "deny")) return false;
  return write_file(proc + "uid_map", line(geteuid())) &&
         write_file(proc + "gid_map", line(getegid()));
}

void enter_guest(OwnFd maps_written) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  char go = 0;
  if (read(maps_written.get(), &go, 1) != 1) _exit(1);
  if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) _exit(1);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a change of uid clears it
}

}  // namespace

bool write_file(const std::string& path, const std::string& text) {
  OwnFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd.valid() && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void complain(const char* call, int code) {
  const char* advice = "";
  if (code == EPERM || code == ENOSPC || code == EUSERS) {
    advice = "; as an ordinary user this needs unprivileged user namespaces "
             "(sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces)";
  }
  fprintf(stderr, "guests: %s: %s%s\n", call, strerror(code), advice);
}

pid_t spawn_guest(const SpawnOptions& options) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    complain("socketpair", errno);
    return -1;
  }
  OwnFd ours(pair[0]);
  OwnFd theirs(pair[1]);
  const unsigned long flags =
      CLONE_NEWUSER | CLONE_NEWPID | (options.mount_namespace ? CLONE_NEWNS : 0) | SIGCHLD;
  const pid_t pid = static_cast<pid_t>(syscall(SYS_clone, flags, nullptr, nullptr, nullptr, 0));
  if (pid < 0) {
    complain("clone", errno);
    return -1;
  }
  if (pid == 0) {
    ours.reset();
    enter_guest(std::move(theirs));
    return 0;
  }
  if (!map_ids(pid, options) || write(ours.get(), "m", 1) != 1) {
    complain("writing the id maps", errno);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return -1;
  }
  return pid;
}

}  // namespace devlxd::guests
