// The cost of identifying a caller alone: no accept, no answer.
#include <getopt.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "identity/caller.h"
#include "read_count.h"
#include "sockets.h"
#include "tools/guests/connect.h"
#include "tools/guests/message.h"
#include "tools/guests/spawn.h"

namespace devlxd::bench {
namespace {

constexpr const char* kHelp =
    "Usage: bench_identify --socket PATH [options]\n"
    "\n"
    "Registers a guest, lets a process in it connect to a socket that is made at PATH, and prints\n"
    "how many nanoseconds it takes to find out whose that connection is.\n"
    "\n"
    "  --identity PATH  pidfd-ioctl, peer-pidfd or procfs (pidfd-ioctl)\n"
    "  --nested N       pid namespaces between the process and the guest's own (0)\n"
    "  --known          the process has called before\n"
    "  --count N        how often it is found out (20000)\n"
    "\n"
    "Examples:\n"
    "  bench_identify --socket /tmp/bench.sock --identity procfs --nested 8\n";

struct Options {
  std::string socket;
  IdentityMethod path = IdentityMethod::kPidfdIoctl;
  int nested = 0;
  bool known = false;
  int count = 20000;
};

int usage(const char* problem) {
  fprintf(stderr, "bench_identify: %s; see bench_identify --help\n", problem);
  return 2;
}

bool read_path(const char* text, IdentityMethod& path) {
  const char* names[] = {"pidfd-ioctl", "peer-pidfd", "procfs"};
  for (int i = 0; i < 3; i++) {
    if (strcmp(text, names[i]) != 0) continue;
    path = static_cast<IdentityMethod>(i);
    return true;
  }
  return false;
}

// In the guest: a process inside further nested namespaces connects, and all of them stay.
[[noreturn]] void connect_and_stay(int socket, const Options& options) {
  guests::ConnectRequest request;
  request.path = options.socket;
  request.nested = options.nested;
  request.child = true;
  guests::serve_connect(socket, request);
  for (;;) pause();
}

// Nanoseconds for each, or 0 when the guest was not recognised.
uint64_t time_of_identify(int connection, const Options& options, const InstanceTable& instances) {
  // The caller has to be older than the clock, by more than the 10 ms in which its age is told.
  usleep(20'000);
  const AcceptClock clock;
  NamespaceCache nobody(IdentityMethod::kProcfs);
  NamespaceCache somebody(options.path);
  NamespaceCache& known = options.known ? somebody : nobody;
  const uint64_t began = now();
  for (int i = 0; i < options.count; i++) {
    const Caller caller = identify(connection, options.path, instances, {clock}, known);
    if (caller.kind != CallerKind::kInstance) return 0;
  }
  return (now() - began) / options.count;
}

int run(const Options& options) {
  const auto address = address_of(options.socket);
  if (!address) return usage("the path of --socket is too long for a Unix socket");
  Failure failure;
  const OwnFd listening = listen_at(*address, 1, failure);
  guests::Spawned guest = guests::spawn_guest({});
  if (guest.pid == 0) connect_and_stay(guest.socket.get(), options);
  uint64_t nanoseconds = 0;
  guests::Message message;
  if (!failure && guest.pid > 0 && guests::receive_message(guest.socket.get(), message)) {
    const OwnFd connection(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    InstanceTable instances;
    instances.activate(instances.add(options.path, guest.pid).slot);
    nanoseconds = time_of_identify(connection.get(), options, instances);
  }
  if (guest.pid > 0) {
    kill(guest.pid, SIGKILL);
    waitpid(guest.pid, nullptr, 0);
  }
  unlink(options.socket.c_str());
  if (nanoseconds == 0) {
    fputs("bench_identify: the guest was not recognised\n", stderr);
    return 1;
  }
  printf("%lu\n", nanoseconds);
  return 0;
}

int parse_and_run(int argc, char** argv) {
  const option names[] = {
      {"socket", required_argument, nullptr, 's'},
      {"identity", required_argument, nullptr, 'i'},
      {"nested", required_argument, nullptr, 'n'},
      {"known", no_argument, nullptr, 'k'},
      {"count", required_argument, nullptr, 'c'},
      {"help", no_argument, nullptr, 'h'},
      {},
  };
  Options options;
  for (int name; (name = getopt_long(argc, argv, "", names, nullptr)) != -1;) {
    switch (name) {
      case 's':
        options.socket = optarg;
        break;
      case 'i':
        if (!read_path(optarg, options.path)) return usage("--identity takes one of three");
        break;
      case 'n':
        if (!read_count(optarg, options.nested, 0)) return usage("--nested takes a number");
        break;
      case 'k':
        options.known = true;
        break;
      case 'c':
        if (!read_count(optarg, options.count)) return usage("--count takes a number above 0");
        break;
      case 'h':
        fputs(kHelp, stdout);
        return 0;
      default:
        return usage("unknown option");
    }
  }
  if (optind < argc) return usage("there is a word too many");
  if (options.socket.empty()) return usage("--socket is missing");
  return run(options);
}

}  // namespace
}  // namespace devlxd::bench

int main(int argc, char** argv) { return devlxd::bench::parse_and_run(argc, argv); }
