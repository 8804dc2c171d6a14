#include "serve.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <vector>

#include "connect.h"
#include "message.h"

namespace devlxd::guests {
namespace {

struct Guest {
  pid_t pid = -1;
  OwnFd socket;
};

// pid 1 of a guest: carries out what the supervisor asks for, until the supervisor is gone.
[[noreturn]] void run_init(int socket) {
  Message message;
  while (receive_message(socket, message)) {
    if (message.text == "reap") {
      while (waitpid(-1, nullptr, WNOHANG) > 0) continue;
      send_message(socket, "ok");
    } else {
      serve_connect(socket, parse_request(message.text));
    }
  }
  _exit(0);
}

class Supervisor {
 public:
  Supervisor(int control, const SpawnOptions& options) : control_(control), options_(options) {}

  int run() {
    Message request;
    while (receive_message(control_, request)) handle(request.text);
    for (size_t i = 0; i < guests_.size(); i++) kill_guest(i);
    return 0;
  }

 private:
  void handle(const std::string& text) {
    const size_t blank = std::min(text.find(' '), text.size());
    const std::string verb = text.substr(0, blank);
    char* rest = nullptr;
    const size_t number = strtoul(text.c_str() + blank, &rest, 10);
    if (verb == "spawn") return spawn(number);
    if (number >= guests_.size() || guests_[number].pid < 0) return reply("error no such guest");
    if (verb == "kill") {
      kill_guest(number);
      return reply("ok");
    }
    if (verb == "reap") return pass_on(guests_[number], "reap");
    if (verb == "connect") return pass_on(guests_[number], *rest == ' ' ? rest + 1 : rest);
    reply("error unknown verb " + verb);
  }

  void spawn(size_t count) {
    std::string pids = "ok";
    for (size_t i = 0; i < count; i++) {
      Guest guest = spawn_one();
      if (guest.pid < 0) return reply("error spawn, see standard error");
      pids += " " + std::to_string(guest.pid);
      guests_.push_back(std::move(guest));
    }
    reply(pids);
  }

  Guest spawn_one() {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return Guest();
    Guest guest;
    guest.socket = OwnFd(pair[0]);
    OwnFd theirs(pair[1]);
    const int on = 1;  // so that a reply says which process of the guest sent it
    setsockopt(guest.socket.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    guest.pid = spawn_guest(options_);
    if (guest.pid == 0) {
      guest.socket.reset();
      guests_.clear();  // the other guests' sockets
      close(control_);
      run_init(theirs.get());
    }
    return guest;
  }

  void pass_on(const Guest& guest, const std::string& text) {
    Message answer;
    if (!send_message(guest.socket.get(), text) || !receive_message(guest.socket.get(), answer)) {
      return reply("error the guest is gone");
    }
    send_message(control_, answer.text + " " + std::to_string(answer.sender), answer.fd.get());
  }

  void kill_guest(size_t index) {
    Guest& guest = guests_[index];
    if (guest.pid < 0) return;
    kill(guest.pid, SIGKILL);
    waitpid(guest.pid, nullptr, 0);
    guest = Guest();
  }

  void reply(const std::string& text) { send_message(control_, text); }

  int control_;
  SpawnOptions options_;
  std::vector<Guest> guests_;
};

}  // namespace

int serve(int control, const SpawnOptions& options) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGINT, SIG_IGN);  // ends with its control socket
  return Supervisor(control, options).run();
}

}  // namespace devlxd::guests
