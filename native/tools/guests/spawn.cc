#include "tools/guests/spawn.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "tools/guests/message.h"

namespace devlxd::guests {
namespace {

constexpr unsigned kMappedIds = 65536;
constexpr int kPatienceSeconds = 8;  // with one guest; less than what our own caller has

struct Advice {
  const char* call;
  int code;
  const char* text;
};

constexpr Advice kAdvice[] = {
    {"clone", EPERM,
     "user namespaces may be switched off for ordinary users: set sysctl "
     "kernel.unprivileged_userns_clone=1 (Debian) or "
     "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), or run this as root"},
    {"clone", ENOSPC,
     "raise sysctl user.max_user_namespaces, max_pid_namespaces, max_mnt_namespaces"},
    {"clone", EUSERS, "raise sysctl user.max_user_namespaces"},
    {"clone", EAGAIN, "raise ulimit -u, sysctl kernel.pid_max or the cgroup's pids.max"},
    {"socketpair", EMFILE, "raise ulimit -n: a guest takes one descriptor"},
    {"write uid_map", EPERM, "choose a --uid-base whose 65536 ids this process has itself"},
    {"setresuid", EINVAL,
     "that uid is not in the guest's id map; an ordinary user's guest has 0 only"},
    {"mount /proc", EPERM, "something is mounted over a part of /proc here: run this as root"},
};

// The guest's part until it is uid 0. Empty on success.
std::string enter_guest(int socket, const SpawnOptions& options, bool as_root) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Message go;
  if (!receive_message(socket, go)) _exit(1);
  if (as_root && setgroups(0, nullptr) != 0) return describe("setgroups", errno);
  if (setresgid(0, 0, 0) != 0) return describe("setresgid", errno);
  if (setresuid(0, 0, 0) != 0) return describe("setresuid", errno);
  // A change of uid clears both of these; without the second our files in /proc are not our own.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_DUMPABLE, 1);
  if (!options.mount_namespace) return "";
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return describe("mount /", errno);
  }
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("proc", "/proc", "proc", kFlags, nullptr) != 0) return describe("mount /proc", errno);
  return "";
}

// With CLONE_FILES the table of descriptors is still our parent's: this takes a copy that ends with
// our socket. Copying all of it would make 10,000 guests cost the square of that.
bool keep_only(int socket) {
  return close_range(socket + 1, ~0U, CLOSE_RANGE_UNSHARE) == 0 &&
         (socket == 3 || close_range(3, socket - 1, 0) == 0);
}

Spawned in_guest(OwnFd ours, OwnFd theirs, const SpawnOptions& options, bool as_root) {
  if (!options.only_socket) {
    ours.reset();
  } else {
    ours.release();  // closed together with everything else that is our parent's
    if (!keep_only(theirs.get())) _exit(1);
  }
  const std::string error = enter_guest(theirs.get(), options, as_root);
  // No process receives this when our parent died before PDEATHSIG was set again.
  if (!send_message(theirs.get(), error.empty() ? "ok" : error) || !error.empty()) _exit(1);
  return {0, std::move(theirs), ""};
}

std::string map_ids(pid_t pid, const SpawnOptions& options, bool as_root) {
  const std::string proc = "/proc/" + std::to_string(pid) + "/";
  const auto line = [&](unsigned own) {
    return as_root ? "0 " + std::to_string(options.uid_base) + " " + std::to_string(kMappedIds)
                   : "0 " + std::to_string(own) + " 1";
  };
  if (!as_root && !write_file(proc + "setgroups", "deny"))
    return describe("write setgroups", errno);
  if (!write_file(proc + "uid_map", line(geteuid()))) return describe("write uid_map", errno);
  if (!write_file(proc + "gid_map", line(getegid()))) return describe("write gid_map", errno);
  return "";
}

// The parent's part. Empty when the guest is ready.
std::string let_in(pid_t pid, int socket, const SpawnOptions& options, bool as_root) {
  std::string error = map_ids(pid, options, as_root);
  if (!error.empty()) return error;
  Message answer;
  if (!send_message(socket, "go") || !receive_message(socket, answer)) {
    return describe("starting the guest", errno);
  }
  return answer.text == "ok" ? "" : answer.text;
}

}  // namespace

std::string describe(const std::string& call, int code) {
  const char* name = strerrorname_np(code);
  std::string text = call + " " + (name != nullptr ? name : "?") + " " + strerror(code);
  for (const Advice& advice : kAdvice) {
    if (call == advice.call && code == advice.code) text += std::string("; ") + advice.text;
  }
  return text;
}

void complain(const std::string& call, int code) {
  fprintf(stderr, "guests: %s\n", describe(call, code).c_str());
}

bool write_file(const std::string& path, const std::string& text) {
  const OwnFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd.valid() &&
         write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

Spawned spawn_guest(const SpawnOptions& options) {
  OwnFd theirs;  // made first, so that it has the lowest number that is free: see keep_only
  OwnFd ours;
  if (!make_socketpair(theirs, ours)) return {-1, OwnFd(), describe("socketpair", errno)};
  set_patience(ours.get(), kPatienceSeconds);
  const bool as_root = geteuid() == 0;
  const unsigned long flags = CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD |
                              (options.mount_namespace ? CLONE_NEWNS : 0) |
                              (options.only_socket ? CLONE_FILES : 0);
  const pid_t pid = static_cast<pid_t>(syscall(SYS_clone, flags, nullptr, nullptr, nullptr, 0));
  if (pid < 0) return {-1, OwnFd(), describe("clone", errno)};
  if (pid == 0) return in_guest(std::move(ours), std::move(theirs), options, as_root);
  if (!options.only_socket) theirs.reset();  // else the table is shared until the guest answers
  const std::string error = let_in(pid, ours.get(), options, as_root);
  if (error.empty()) return {pid, std::move(ours), ""};
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return {-1, OwnFd(), error};
}

}  // namespace devlxd::guests
