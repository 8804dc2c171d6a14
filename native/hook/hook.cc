// What container runtimes call when a container starts and stops. It hands over to the daemon what
// it was given and says what the daemon says: the rest is in src/control/hook-handlers.ts. In C++,
// because Node's start would take longer than all of it.
#include <sys/socket.h>
#include <sys/time.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hook/answer.h"
#include "hook/request.h"
#include "os/own_fd.h"
#include "os/unix_address.h"

namespace devlxd::hook {
namespace {

constexpr const char* kHelp =
    "Usage: devlxd-hook lxc [KEY=VALUE...]\n"
    "       devlxd-hook oci\n"
    "       devlxd-hook nspawn start|stop NAME [KEY=VALUE...]\n"
    "\n"
    "Tells devlxd that a container starts or stops; for the configuration of its runtime, see\n"
    "docs/runtimes.md. The instance is made when there is none of that name.\n"
    "\n"
    "  --run-dir DIR         of the daemon (DEVLXD_RUN_DIR; /run/devlxd)\n"
    "  --on-error fail|ignore  what a container does that devlxd does not take: it is not "
    "started,\n"
    "                        or it is without its guest API (DEVLXD_HOOK_ON_ERROR; fail)\n"
    "  -h, --help\n"
    "\n"
    "Examples:\n"
    "  lxc.hook.start-host = /usr/bin/devlxd-hook lxc user.role=web\n"
    "  devlxd-hook oci < state.json\n"
    "  devlxd-hook nspawn start web1 --supervisor 4711\n";

constexpr int kPatienceSeconds = 10;
constexpr size_t kLongestInput = 1 << 20;

struct Options {
  std::string run_dir = "/run/devlxd";
  bool ignore_errors = false;
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

std::string read_input() {
  std::string text;
  char buffer[16 * 1024];
  for (ssize_t size; text.size() < kLongestInput && (size = read(0, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(size));
  }
  return text;
}

// Runtimes tell in these what they do.
bool is_told(std::string_view variable) {
  return variable.starts_with("LXC_") || variable.starts_with("MAINPID=");
}

Order order_of(const Options& options) {
  Order order;
  order.runtime = options.words[0];
  order.arguments.assign(options.words.begin() + 1, options.words.end());
  for (char** variable = environ; *variable != nullptr; variable++) {
    if (is_told(*variable)) order.environment.emplace_back(*variable);
  }
  if (order.runtime == "oci") order.input = read_input();
  return order;
}

std::string describe_connect(const std::string& path, int code) {
  switch (code) {
    case ENOENT:
      return "no devlxd runs here: there is no " + path + "; start it first, or name its --run-dir";
    case ECONNREFUSED:
      return "no devlxd listens on " + path + "; start it first";
    case EACCES:
      return "this user may not use " + path +
             "; a runtime without root needs a devlxd of the same user, or its --group";
    default:
      return path + ": " + strerror(code);
  }
}

OwnFd connect_to(const std::string& path, std::string& problem) {
  const UnixAddress address(path);
  if (address.length == 0) {
    problem = describe_connect(path, ENAMETOOLONG);
    return OwnFd();
  }
  OwnFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience = {kPatienceSeconds, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(fd.get(), address.get(), address.length) != 0) {
    problem = describe_connect(path, errno);
    fd.reset();
  }
  return fd;
}

// HTTP/1.0: the answer ends with the connection.
std::string exchange(int fd, const std::string& request, std::string& problem) {
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t size = send(fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (size < 0) {
      problem = std::string("devlxd does not listen: ") + strerror(errno);
      return "";
    }
    sent += static_cast<size_t>(size);
  }
  std::string answer;
  char buffer[4096];
  ssize_t size;
  while ((size = read(fd, buffer, sizeof buffer)) > 0) {
    answer.append(buffer, static_cast<size_t>(size));
  }
  if (size < 0 && errno == EAGAIN) {
    problem = "devlxd has not answered within " + std::to_string(kPatienceSeconds) + " s";
  } else if (answer.empty()) {
    problem = "devlxd closed the connection: it takes orders from root and its own user only";
  }
  return answer;
}

int run(const Options& options) {
  std::string problem;
  const OwnFd fd = connect_to(options.run_dir + "/control.sock", problem);
  if (!problem.empty()) return complain(options, problem);
  const std::string answer = exchange(fd.get(), request_of(order_of(options)), problem);
  if (!problem.empty()) return complain(options, problem);
  const std::optional<std::string> complaint = complaint_in(answer);
  return complaint ? complain(options, *complaint) : 0;
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
  for (const char* runtime : {"lxc", "oci", "nspawn"}) {
    if (options.words[0] == runtime) return run(options);
  }
  return usage("there is no hook for \"" + options.words[0] + "\", only for lxc, oci and nspawn");
}

}  // namespace
}  // namespace devlxd::hook

int main(int argc, char** argv) { return devlxd::hook::parse_and_run(argc, argv); }
