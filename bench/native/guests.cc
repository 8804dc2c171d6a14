// Thousands of guests that do nothing, or boot all at once.
#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "crowd.h"
#include "histogram.h"
#include "holder.h"
#include "load_options.h"
#include "read_count.h"
#include "sockets.h"
#include "tally.h"

namespace devlxd::bench {
namespace {

constexpr const char* kHelp =
    "Usage: bench_guests --guests N [options]\n"
    "\n"
    "Starts N guests, each in user and pid namespaces of its own, and prints \"pids P...\". They\n"
    "wait. A byte on standard input lets all of them ask at once, each for every path, one after\n"
    "the other on new connections; a line of JSON tells what they saw. They all end with standard\n"
    "input. The exit code is 1 when something could not be done.\n"
    "\n"
    "  --socket PATH   of the server that they ask\n"
    "  --path PATH     what they ask for; may be given 16 times\n"
    "  --hold          they ask for a WebSocket instead, for the first path, and keep it until\n"
    "                  standard input ends; prints \"held N\", \"heard N\" and a line of JSON\n"
    "\n"
    "Examples:\n"
    "  bench_guests --guests 10000\n"
    "  bench_guests --guests 100 --socket /dev/lxd/sock --path /1.0 --path /1.0/meta-data\n";

struct Options {
  size_t guests = 0;
  std::string socket = "/";
  std::vector<std::string> paths;
  bool hold = false;
};

int usage(const char* problem) {
  fprintf(stderr, "bench_guests: %s; see bench_guests --help\n", problem);
  return 2;
}

void print_pids(const Crowd& crowd) {
  fputs("pids", stdout);
  for (const pid_t pid : crowd.pids()) printf(" %d", pid);
  puts("");
  fflush(stdout);
}

double microseconds(uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; }

// Counts what all of them saw.
void print_storm(const Crowd& crowd, uint64_t began) {
  Histogram latency;
  uint64_t last = began;
  uint64_t errors = 0;
  uint64_t mismatches = 0;
  for (size_t i = 0; i < crowd.size(); i++) {
    const Outcome& outcome = crowd.outcome(i);
    for (uint32_t k = 0; k < outcome.answered; k++) latency.add(outcome.nanoseconds[k]);
    last = std::max(last, outcome.finished);
    if (errors == 0 && outcome.errors > 0) {
      fprintf(stderr, "bench_guests: a request failed: %s\n", strerror(outcome.first_error));
    }
    errors += outcome.errors;
    mismatches += outcome.mismatches;
  }
  printf(
      "{\"requests\":%lu,\"seconds\":%.6f,\"errors\":%lu,\"mismatches\":%lu,"
      "\"latencyMicroseconds\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}}\n",
      latency.count(), static_cast<double>(last - began) / 1e9, errors, mismatches,
      microseconds(latency.percentile(50)), microseconds(latency.percentile(99)),
      microseconds(latency.max()));
  fflush(stdout);
}

int hold(Crowd& crowd, const std::string& path) {
  LoadOptions options;
  options.path = path;
  options.upgrade = true;
  options.hold = crowd.size();
  Tally tally;
  const auto connect = [&](uint64_t guest, Failure& failure) {
    return crowd.connect(guest, failure);
  };
  print_result(Holder(options, connect, tally).run(), tally);
  return tally.clean() ? 0 : 1;
}

int run(const Options& options) {
  const auto address = address_of(options.socket);
  if (!address) return usage("the path of --socket is too long for a Unix socket");
  raise_descriptor_limit();
  Crowd crowd(*address, options.paths);
  const std::string problem = crowd.spawn(options.guests);
  if (!problem.empty()) {
    fprintf(stderr, "bench_guests: %s\n", problem.c_str());
    return 1;
  }
  print_pids(crowd);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) == 1) {
    if (options.hold) return hold(crowd, options.paths.front());
    const uint64_t began = now();
    if (!crowd.storm()) {
      fputs("bench_guests: a guest did not come back\n", stderr);
      return 1;
    }
    print_storm(crowd, began);
  }
  return 0;
}

int parse_and_run(int argc, char** argv) {
  const option names[] = {
      {"guests", required_argument, nullptr, 'g'}, {"socket", required_argument, nullptr, 's'},
      {"path", required_argument, nullptr, 'p'},   {"hold", no_argument, nullptr, 'o'},
      {"help", no_argument, nullptr, 'h'},         {},
  };
  Options options;
  for (int name; (name = getopt_long(argc, argv, "", names, nullptr)) != -1;) {
    switch (name) {
      case 'g':
        if (!read_count(optarg, options.guests)) return usage("--guests takes a number above 0");
        break;
      case 's':
        options.socket = optarg;
        break;
      case 'p':
        options.paths.emplace_back(optarg);
        break;
      case 'o':
        options.hold = true;
        break;
      case 'h':
        fputs(kHelp, stdout);
        return 0;
      default:
        return usage("unknown option");
    }
  }
  if (optind < argc) return usage("there is a word too many");
  if (options.guests == 0) return usage("--guests is missing");
  if (options.hold && options.paths.empty()) return usage("--hold needs a --path");
  if (options.paths.size() > kMostRequests) return usage("--path is there too often");
  return run(options);
}

}  // namespace
}  // namespace devlxd::bench

int main(int argc, char** argv) { return devlxd::bench::parse_and_run(argc, argv); }
