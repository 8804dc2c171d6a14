// devlxd-agent: inside a virtual machine, /dev/lxd/sock whose connections go to devlxd on the host.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "agent/host_address.h"
#include "agent/relay.h"
#include "os/peer_credentials.h"
#include "os/unix_socket.h"

namespace devlxd::agent {
namespace {

constexpr const char* kHelp =
    "Usage: devlxd-agent [--socket PATH] [--host PORT]\n"
    "\n"
    "Inside a virtual machine: listens on a Unix socket, and connects each client to devlxd on "
    "the\n"
    "host by vsock. While the host does not answer, clients wait (2 minutes).\n"
    "\n"
    "  --socket PATH  where clients look for it (/dev/lxd/sock); a socket that systemd passes "
    "wins\n"
    "  --host PORT    vsock port of devlxd on the host (1234); unix:PATH: a Unix socket\n"
    "  --help         this text\n"
    "\n"
    "Example:\n"
    "  devlxd-agent --socket /dev/lxd/sock --host 1234\n";

constexpr int kMostConnections = 256;
constexpr int kMostOfUsers = 128;  // by users other than root; the rest is root's room
constexpr int kBacklog = 256;
constexpr int kFirstPassedFd = 3;  // sd_listen_fds(3)
constexpr int kEventBatch = 64;
constexpr Milliseconds kTick = 1000;
constexpr Milliseconds kConnectingTick = 50;

struct Options {
  std::string socket = "/dev/lxd/sock";
  HostAddress host;
};

Milliseconds now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<Milliseconds>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
}

class Agent {
 public:
  Agent(OwnFd listening, const HostAddress& host)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)), listening_(std::move(listening)), host_(host) {
    epoll_event event = {};
    event.events = EPOLLIN;
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listening_.get(), &event);
  }

  [[noreturn]] void run() {
    for (;;) {
      epoll_event events[kEventBatch];
      const int count = epoll_wait(epoll_.get(), events, kEventBatch, timeout());
      const Milliseconds time = now();
      for (int i = 0; i < count; i++) handle(events[i], time);
      for (const auto& relay : relays_) relay->tick(time);
      relays_.remove_if([](const auto& relay) { return relay->is_over(); });
    }
  }

 private:
  int timeout() const {
    if (relays_.empty()) return -1;
    bool waits = false;
    for (const auto& relay : relays_) waits = waits || relay->waits_for_host();
    return static_cast<int>(waits ? kConnectingTick : kTick);
  }

  void handle(const epoll_event& event, Milliseconds time) {
    if (event.data.ptr == nullptr) return accept_all(time);
    Relay::handle(event, time);
  }

  void accept_all(Milliseconds time) {
    for (;;) {
      OwnFd client(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!client.valid()) return;
      const auto peer = peer_credentials(client.get());
      const bool root = peer && peer->uid == 0;
      if (!has_room_for(root)) continue;
      relays_.push_back(
          std::make_unique<Relay>(epoll_.get(), host_, std::move(client), root, time));
    }
  }

  bool has_room_for(bool root) const {
    if (relays_.size() >= kMostConnections) return false;
    int users = 0;
    for (const auto& relay : relays_) users += relay->is_root() ? 0 : 1;
    return root || users < kMostOfUsers;
  }

  OwnFd epoll_;
  OwnFd listening_;
  const HostAddress& host_;
  std::list<std::unique_ptr<Relay>> relays_;
};

int fail(const std::string& sentence) {
  fprintf(stderr, "devlxd-agent: %s\n", sentence.c_str());
  return 1;
}

int usage(const std::string& problem) {
  fprintf(stderr, "devlxd-agent: %s; see devlxd-agent --help\n", problem.c_str());
  return 2;
}

// The socket that systemd passes to this process; invalid: none.
OwnFd passed_socket() {
  const char* pid = getenv("LISTEN_PID");
  const char* count = getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || atoi(pid) != getpid() || atoi(count) < 1)
    return OwnFd();
  fcntl(kFirstPassedFd, F_SETFD, FD_CLOEXEC);
  fcntl(kFirstPassedFd, F_SETFL, O_NONBLOCK);
  return OwnFd(kFirstPassedFd);
}

OwnFd own_socket(const std::string& path, Failure& failure) {
  const std::string directory = path.substr(0, path.rfind('/'));
  if (!directory.empty() && mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    failure = {"mkdir", errno};
    return OwnFd();
  }
  // For all users, as in a container: the host decides which of them it answers.
  return listen_unix(path, 0666, kBacklog, failure);
}

int serve(const Options& options) {
  OwnFd listening = passed_socket();
  if (!listening.valid()) {
    Failure failure;
    listening = own_socket(options.socket, failure);
    if (failure) return fail(options.socket + ": " + failure.call + ": " + strerror(failure.code));
  }
  if (const char* manager = getenv("NOTIFY_SOCKET")) notify_manager(manager, "READY=1", {});
  Agent(std::move(listening), options.host).run();
}

int parse_and_serve(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i++) {
    const std::string word = argv[i];
    if (word == "-h" || word == "--help") return fputs(kHelp, stdout) < 0 ? 1 : 0;
    if (word != "--socket" && word != "--host") return usage("there is no option \"" + word + "\"");
    if (++i == argc) return usage(word + " needs a value");
    if (word == "--socket") {
      options.socket = argv[i];
    } else if (!options.host.parse(argv[i])) {
      return usage("--host is a vsock port, such as 1234, or unix:PATH");
    }
  }
  return serve(options);
}

}  // namespace
}  // namespace devlxd::agent

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  return devlxd::agent::parse_and_serve(argc, argv);
}
