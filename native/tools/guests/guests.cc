// Makes guests: processes that are root in user and pid namespaces of their own, as containers are.
// For the demo, the tests and the benchmarks; the daemon does not use it.
#include <getopt.h>

#include <charconv>
#include <cstdio>
#include <cstring>

#include "tools/guests/run.h"
#include "tools/guests/serve.h"

namespace {

using devlxd::guests::RunOptions;

constexpr const char* kHelp =
    "Usage:\n"
    "  guests run [options] -- COMMAND [ARGUMENT...]   one guest that runs COMMAND\n"
    "  guests serve --control FD [options]             guests on demand "
    "(native/tools/guests/serve.h)\n"
    "\n"
    "Options:\n"
    "  --uid-base N     host uid of the guest's root, when run as root (1000000; 0 keeps host "
    "ids)\n"
    "  --mount-ns       a mount namespace with its own /proc as well\n"
    "  --bind SRC:DST   mount a directory in it, read-only; implies --mount-ns\n"
    "  --pid-fd FD      write the pid of the guest's init there, as a line\n"
    "  --wait-fd FD     start COMMAND only when a byte, or the end, is read from there\n"
    "\n"
    "Examples:\n"
    "  guests run -- id\n"
    "  guests run --bind /run/devlxd/guest:/mnt -- curl --unix-socket /mnt/sock http://lxd/1.0\n";

int usage(const char* problem) {
  fprintf(stderr, "guests: %s; see guests --help\n", problem);
  return 2;
}

// All of the text, as a number that is not negative.
template <typename Number>
bool parse_number(const char* text, Number& number) {
  const char* end = text + strlen(text);
  const auto [stop, problem] = std::from_chars(text, end, number);
  return problem == std::errc() && stop == end && text != end && *text != '-';
}

bool add_bind(RunOptions& options, const char* text) {
  const char* colon = strchr(text, ':');
  if (colon == nullptr) return false;
  options.binds.emplace_back(std::string(text, colon), colon + 1);
  options.spawn.mount_namespace = true;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const option names[] = {
      {"control", required_argument, nullptr, 'c'}, {"uid-base", required_argument, nullptr, 'u'},
      {"mount-ns", no_argument, nullptr, 'm'},      {"bind", required_argument, nullptr, 'b'},
      {"pid-fd", required_argument, nullptr, 'p'},  {"wait-fd", required_argument, nullptr, 'w'},
      {"help", no_argument, nullptr, 'h'},          {},
  };
  RunOptions options;
  int control = -1;
  for (int name; (name = getopt_long(argc, argv, "+", names, nullptr)) != -1 || optind == 1;) {
    switch (name) {
      case -1:
        optind++;
        break;  // the word run or serve
      case 'c':
        if (!parse_number(optarg, control)) return usage("--control takes a number");
        break;
      case 'u':
        if (!parse_number(optarg, options.spawn.uid_base))
          return usage("--uid-base takes a number");
        break;
      case 'm':
        options.spawn.mount_namespace = true;
        break;
      case 'b':
        if (!add_bind(options, optarg)) return usage("--bind takes SRC:DST");
        break;
      case 'p':
        if (!parse_number(optarg, options.pid_fd)) return usage("--pid-fd takes a number");
        break;
      case 'w':
        if (!parse_number(optarg, options.wait_fd)) return usage("--wait-fd takes a number");
        break;
      case 'h':
        fputs(kHelp, stdout);
        return 0;
      default:
        return usage("unknown option");
    }
    if (argc < 2) break;
  }
  const char* verb = argc > 1 ? argv[1] : "";
  if (strcmp(verb, "serve") == 0) {
    return control < 0 ? usage("serve needs --control")
                       : devlxd::guests::serve(control, options.spawn);
  }
  if (strcmp(verb, "run") != 0) return usage("the first word is run or serve");
  options.command.assign(argv + optind, argv + argc);
  return options.command.empty() ? usage("there is no command") : devlxd::guests::run(options);
}
