#include "tools/guests/connect.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "tools/guests/message.h"
#include "tools/guests/spawn.h"

namespace devlxd::guests {
namespace {

std::string error_reply(const char* call) {
  return std::string("error ") + call + ": " + strerror(errno);
}

OwnFd connect_to(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return OwnFd();
  }
  memcpy(address.sun_path, path.data(), path.size());
  OwnFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

void reply_connected(int socket, const std::string& path) {
  const OwnFd fd = connect_to(path);
  if (fd.valid())
    send_message(socket, "ok", fd.get());
  else
    send_message(socket, error_reply("connect"));
}

// Goes into one further pid namespace by forking: the parent stays behind and waits.
bool nest(bool user) {
  if (unshare(CLONE_NEWPID | (user ? CLONE_NEWUSER : 0)) != 0) return false;
  if (user &&
      (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", "0 0 1") ||
       !write_file("/proc/self/gid_map", "0 0 1"))) {
    return false;
  }
  const pid_t pid = fork();
  if (pid < 0) return false;
  if (pid > 0) {
    waitpid(pid, nullptr, 0);
    _exit(0);
  }
  return true;
}

// In the child: becomes the requested user, connects and replies.
[[noreturn]] void connect_in_child(int socket, const ConnectRequest& request) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int level = 0; level < request.nested; level++) {
    if (nest(request.nested_user)) continue;
    send_message(socket, error_reply("unshare"));
    _exit(1);
  }
  if (request.uid >= 0 && (setresgid(request.uid, request.uid, request.uid) != 0 ||
                           setresuid(request.uid, request.uid, request.uid) != 0)) {
    send_message(socket, error_reply("setresuid"));
    _exit(1);
  }
  if (!request.name.empty()) prctl(PR_SET_NAME, request.name.c_str());
  reply_connected(socket, request.path);
  if (!request.dies()) pause();
  _exit(0);
}

// The child replies, and is dead in the way asked for when we say "done" after it.
void connect_in_dying_child(int socket, const ConnectRequest& request) {
  const pid_t pid = fork();
  if (pid == 0) connect_in_child(socket, request);
  siginfo_t exited;
  waitid(P_PID, pid, &exited, WEXITED | (request.then == "zombie" ? WNOWAIT : 0));
  send_message(socket, "done");
}

}  // namespace

ConnectRequest parse_request(const std::string& text) {
  ConnectRequest request;
  size_t begin = 0;
  const auto value_of = [](const std::string& word) { return word.substr(word.find('=') + 1); };
  while (begin < text.size()) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (begin == 0)
      request.path = word;
    else if (word.starts_with("uid="))
      request.uid = atoi(value_of(word).c_str());
    else if (word.starts_with("nested="))
      request.nested = atoi(value_of(word).c_str());
    else if (word == "nested-user")
      request.nested_user = true;
    else if (word == "child")
      request.child = true;
    else if (word.starts_with("then="))
      request.then = value_of(word);
    else if (word.starts_with("name=")) {
      request.name = value_of(text.substr(begin));
      break;
    }
    begin = end + 1;
  }
  return request;
}

void serve_connect(int socket, const ConnectRequest& request) {
  if (!request.needs_child()) {
    reply_connected(socket, request.path);
  } else if (request.dies()) {
    connect_in_dying_child(socket, request);
  } else if (fork() == 0) {
    connect_in_child(socket, request);
  }
}

}  // namespace devlxd::guests
