#include "tools/guests/serve.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <vector>

#include "tools/guests/connect.h"
#include "tools/guests/message.h"

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
    end_from(0);
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
    if (verb == "connect" && *rest == '\0') return reply("error the path is missing");
    if (verb == "connect") return pass_on(guests_[number], *rest == ' ' ? rest + 1 : rest);
    reply("error unknown verb " + verb);
  }

  void spawn(size_t count) {
    const size_t first = guests_.size();
    std::string pids = "ok";
    for (size_t i = 0; i < count; i++) {
      Spawned guest = spawn_guest(options_);
      if (guest.pid == 0) run_init(guest.socket.get());
      if (guest.pid < 0) {
        end_from(first);  // all or none: else the numbers of later guests would be anyone's guess
        return reply("error " + guest.error);
      }
      const int on = 1;  // so that a reply says which process of the guest sent it
      setsockopt(guest.socket.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
      pids += " " + std::to_string(guest.pid);
      guests_.push_back({guest.pid, std::move(guest.socket)});
    }
    reply(pids);
  }

  void pass_on(const Guest& guest, const std::string& text) {
    Message answer;
    if (!send_message(guest.socket.get(), text) || !receive_message(guest.socket.get(), answer)) {
      return reply("error the guest is gone");
    }
    Message done;
    if (parse_request(text).dies()) receive_message(guest.socket.get(), done);
    send_message(control_, answer.text + " " + std::to_string(answer.sender), answer.fd.get());
  }

  void kill_guest(size_t index) {
    Guest& guest = guests_[index];
    if (guest.pid < 0) return;
    kill(guest.pid, SIGKILL);
    waitpid(guest.pid, nullptr, 0);
    guest = Guest();
  }

  // All are killed before the first is waited for: the kernel takes its time with each.
  void end_from(size_t first) {
    for (size_t i = first; i < guests_.size(); i++) {
      if (guests_[i].pid > 0) kill(guests_[i].pid, SIGKILL);
    }
    for (size_t i = first; i < guests_.size(); i++) kill_guest(i);
    guests_.resize(first);
  }

  void reply(const std::string& text) { send_message(control_, text); }

  int control_;
  SpawnOptions options_;
  std::vector<Guest> guests_;
};

void allow_all_descriptors() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int serve(int control, SpawnOptions options) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGINT, SIG_IGN);  // ends with its control socket
  allow_all_descriptors();
  options.only_socket = true;
  return Supervisor(control, options).run();
}

}  // namespace devlxd::guests
