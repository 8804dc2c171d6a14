// What runtimes call when a container or a virtual machine starts and stops. It hands over to the
// daemon what it was given and says what the daemon says: the rest is in
// src/control/hook-handlers.ts. In C++, because Node's start would take longer than all of it.
#include <fcntl.h>
#include <syslog.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hook/answer.h"
#include "hook/bundle.h"
#include "hook/exchange.h"
#include "hook/patience.h"
#include "hook/request.h"

namespace devlxd::hook {
namespace {

constexpr const char* kHelp =
    "Usage: devlxd-hook lxc [--name NAME] [--project PROJECT] [KEY=VALUE...]\n"
    "       devlxd-hook oci [--project PROJECT] [KEY=VALUE...]\n"
    "       devlxd-hook nspawn start|stop MACHINE [--name NAME] [--project PROJECT]\n"
    "                          [--supervisor PID] [KEY=VALUE...]\n"
    "       devlxd-hook vm start|stop NAME [--pid PID] [--cid CID] [KEY=VALUE...]\n"
    "       devlxd-hook libvirt [KEY=VALUE...] \"$@\"\n"
    "\n"
    "Tells devlxd that a container or a virtual machine starts or stops: see\n"
    "docs/runtimes.md and docs/vm.md. An instance of that name is made if need be.\n"
    "\n"
    "  --run-dir DIR           of the daemon (DEVLXD_RUN_DIR; /run/devlxd)\n"
    "  --on-error ignore|fail  what a container does that devlxd does not take: it\n"
    "                          starts without its guest API, or not at all\n"
    "                          (DEVLXD_HOOK_ON_ERROR; ignore)\n"
    "  -h, --help\n"
    "\n"
    "Examples:\n"
    "  lxc.hook.start-host = /usr/bin/devlxd-hook lxc user.role=web\n"
    "  devlxd-hook vm start db1 --pid 4711\n";

constexpr size_t kLongestInput = 4 << 20;

struct Options {
  std::string run_dir = "/run/devlxd";
  bool ignore_errors = true;
  std::vector<std::string> words;  // the runtime first
};

// Says what is wrong, to the log as well, since LXC and crun swallow it; gives the exit code.
int complain(const Options& options, const std::string& sentence) {
  openlog("devlxd-hook", LOG_PID, LOG_DAEMON);
  syslog(options.ignore_errors ? LOG_WARNING : LOG_ERR, "%s", sentence.c_str());
  fprintf(stderr, "devlxd-hook: %s\n", sentence.c_str());
  return options.ignore_errors ? 0 : 1;
}

int usage(const std::string& problem) {
  fprintf(stderr, "devlxd-hook: %s; see devlxd-hook --help\n", problem.c_str());
  return 2;
}

std::string read_all(int fd) {
  std::string text;
  char buffer[16 * 1024];
  for (ssize_t size; (size = read(fd, buffer, sizeof buffer)) > 0 && !patience_is_over();) {
    if (text.size() <= kLongestInput) text.append(buffer, static_cast<size_t>(size));
  }
  return text;
}

// To the end, which a runtime may wait for.
std::string read_input(std::string& problem) {
  std::string text = read_all(0);
  if (patience_is_over()) problem = "the runtime has not said all of its input";
  if (text.size() > kLongestInput) problem = "the runtime's input is longer than 4 MiB";
  return text;
}

// The pid of a domain of libvirt, which its hook is not told: in a file that libvirt writes before
// the domain starts. words: the hook's, of which libvirt's four are the last
std::string pid_of_domain(const std::vector<std::string>& words) {
  constexpr size_t kWordsOfLibvirt = 4;
  if (words.size() < kWordsOfLibvirt) return "";
  const char* given = getenv("DEVLXD_LIBVIRT_DIR");
  const std::string directory = given == nullptr ? "/run/libvirt/qemu" : given;
  const std::string& domain = words[words.size() - kWordsOfLibvirt];
  const int fd = open((directory + "/" + domain + ".pid").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::string text = read_all(fd);
  close(fd);
  return text.substr(0, text.find_first_not_of("0123456789"));
}

// Runtimes tell in these what they do.
bool is_told(std::string_view variable) {
  return variable.starts_with("LXC_") || variable.starts_with("MAINPID=");
}

// The configuration of the bundle, where the state has a replacement character: runc, which is
// written in Go, puts one in the place of each byte that is no UTF-8. Empty when it cannot be read.
std::string bundle_behind(std::string_view state) {
  if (state.find("\xef\xbf\xbd") == std::string_view::npos) return "";
  const std::string bundle(string_in(state, "bundle"));
  const int fd = open((bundle + "/config.json").c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return "";
  std::string text = read_all(fd);
  close(fd);
  return text;
}

Order order_of(const Options& options, std::string& problem) {
  Order order;
  order.runtime = options.words[0];
  order.arguments.assign(options.words.begin() + 1, options.words.end());
  for (char** variable = environ; *variable != nullptr; variable++) {
    if (is_told(*variable)) order.environment.emplace_back(*variable);
  }
  if (order.runtime == "oci") {
    order.input = read_input(problem);
    const std::string bundle = bundle_behind(order.input);
    if (!bundle.empty()) order.environment.push_back("OCI_BUNDLE=" + bundle);
  }
  if (order.runtime == "libvirt") {
    order.input = read_input(problem);
    order.environment.push_back("LIBVIRT_PID=" + pid_of_domain(order.arguments));
  }
  return order;
}

int run(const Options& options) {
  begin_patience(options.ignore_errors ? 0 : 1);
  std::string problem;
  const Order order = order_of(options, problem);
  if (!problem.empty()) return complain(options, problem);
  const std::string answer =
      exchange(options.run_dir + "/control.sock", request_of(order), problem);
  if (!problem.empty()) return complain(options, problem);
  const std::optional<std::string> complaint = complaint_in(answer);
  return complaint ? complain(options, *complaint) : 0;
}

// A runtime may have closed them, and the next file opened would receive what is written
// to them; and a write to a pipe without a reader must not end this process.
void open_standard_streams() {
  int fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = open("/dev/null", O_RDWR);
  if (fd >= 0) close(fd);
  signal(SIGPIPE, SIG_IGN);
}

bool read_policy(std::string_view text, bool& ignore) {
  ignore = text == "ignore";
  return ignore || text == "fail";
}

int parse_and_run(int argc, char** argv) {
  Options options;
  if (const char* run_dir = getenv("DEVLXD_RUN_DIR")) options.run_dir = run_dir;
  const char* policy = getenv("DEVLXD_HOOK_ON_ERROR");
  if (policy != nullptr && !read_policy(policy, options.ignore_errors)) {
    return usage("DEVLXD_HOOK_ON_ERROR is fail or ignore");
  }
  for (int i = 1; i < argc; i++) {
    const std::string word = argv[i];
    if (word == "-h" || word == "--help") {
      fputs(kHelp, stdout);
      return 0;
    }
    if (word != "--run-dir" && word != "--on-error") {
      options.words.push_back(word);
      continue;
    }
    if (++i == argc) return usage(word + " needs a value");
    if (word == "--run-dir") {
      options.run_dir = argv[i];
    } else if (!read_policy(argv[i], options.ignore_errors)) {
      return usage("--on-error is fail or ignore");
    }
  }
  if (options.words.empty()) return usage("a runtime is missing");
  for (const char* runtime : {"lxc", "oci", "nspawn", "libvirt", "vm"}) {
    if (options.words[0] == runtime) return run(options);
  }
  return usage("there is no hook for \"" + options.words[0] +
               "\", only for lxc, oci, nspawn, libvirt and vm");
}

}  // namespace
}  // namespace devlxd::hook

int main(int argc, char** argv) {
  devlxd::hook::open_standard_streams();
  return devlxd::hook::parse_and_run(argc, argv);
}
