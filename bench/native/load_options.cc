#include "load_options.h"

#include <getopt.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "websocket.h"

namespace devlxd::bench {
namespace {

constexpr const char* kLoadHelp =
    "Usage: bench_load --socket PATH [options]\n"
    "\n"
    "Asks an HTTP server on a Unix socket, checks every answer, prints one JSON object. The exit\n"
    "code is 1 when one answer was wrong or one connection failed, 2 when an option is.\n"
    "\n"
    "  --path PATH           what is asked for (/1.0)\n"
    "  --mode MODE           keepalive, or connect: a new connection for each request, closed\n"
    "                        after the answer (keepalive)\n"
    "  --connections N       requests under way at the same time (64)\n"
    "  --seconds S           how long is measured (5)\n"
    "  --warmup S            how long is asked before that (1)\n"
    "  --requests N          ends after N requests, whatever time they take, and no later than\n"
    "                        --seconds; goes without --warmup and --rate\n"
    "  --rate R              open loop: R requests per second by a fixed schedule; latency counts\n"
    "                        from the scheduled time, so that queueing is not hidden\n"
    "  --expect-status N     of every answer (200; 101 with --upgrade)\n"
    "  --expect-body TEXT    of every answer, byte for byte\n"
    "  --expect-body-file F  the same, from a file\n"
    "  --hold N              opens N connections, asks once on each, prints \"held N\", counts "
    "the\n"
    "                        messages that come until standard input ends\n"
    "  --upgrade             asks for a WebSocket; pings are answered\n"
    "  --patch JSON          sends PATCH with this; each % in it is the number of the request, "
    "each %\n"
    "                        in the path that of the connection, from 1\n"
    "  --once                asks once and prints the answer as it came\n"
    "\n"
    "Examples:\n"
    "  bench_load --socket /dev/lxd/sock --connections 64 --seconds 5\n"
    "  bench_load --socket /dev/lxd/sock --mode connect --connections 16\n"
    "  bench_load --socket /dev/lxd/sock --rate 20000 --expect-status 200\n"
    "  bench_load --socket /dev/lxd/sock --path /1.0/events --hold 10000 --upgrade\n";

ParsedOptions refuse(const char* problem) {
  fprintf(stderr, "bench_load: %s; see bench_load --help\n", problem);
  return {{}, 2};
}

// All of the text, as a number that is not negative.
template <typename Number>
bool read_number(const char* text, Number& number) {
  const char* end = text + strlen(text);
  const auto [stop, problem] = std::from_chars(text, end, number);
  return problem == std::errc() && stop == end && *text != '-' && number >= 0;
}

bool read_mode(const char* text, LoadOptions::Mode& mode) {
  const bool connect = strcmp(text, "connect") == 0;
  mode = connect ? LoadOptions::Mode::kConnect : LoadOptions::Mode::kKeepAlive;
  return connect || strcmp(text, "keepalive") == 0;
}

bool read_file(const char* path, std::string& text) {
  std::ifstream file(path, std::ios::binary);
  text.assign(std::istreambuf_iterator<char>(file), {});
  return file.good() || file.eof();
}

std::string filled_in(std::string text, uint64_t number) {
  for (size_t at; (at = text.find('%')) != std::string::npos;) {
    text.replace(at, 1, std::to_string(number));
  }
  return text;
}

// What is wrong with the value of an option; nullptr when nothing is.
const char* read_option(int name, const char* value, LoadOptions& options) {
  switch (name) {
    case 's':
      options.socket = value;
      return nullptr;
    case 'p':
      options.path = value;
      return nullptr;
    case 'm':
      return read_mode(value, options.mode) ? nullptr : "--mode takes keepalive or connect";
    case 'c':
      return read_number(value, options.connections) ? nullptr : "--connections takes a number";
    case 't':
      return read_number(value, options.seconds) ? nullptr : "--seconds takes a number";
    case 'w':
      return read_number(value, options.warmup) ? nullptr : "--warmup takes a number";
    case 'r':
      return read_number(value, options.rate) ? nullptr : "--rate takes a number";
    case 'x':
      return read_number(value, options.expect_status.emplace()) ? nullptr
                                                                 : "--expect-status takes a number";
    case 'b':
      options.expect_body = value;
      return nullptr;
    case 'j':
      options.patch = value;
      return nullptr;
    case 'f':
      return read_file(value, options.expect_body.emplace()) ? nullptr
                                                             : "--expect-body-file cannot be read";
    case 'q':
      return read_number(value, options.requests) ? nullptr : "--requests takes a number";
    case 'n':
      return read_number(value, options.hold) && options.hold > 0 ? nullptr
                                                                  : "--hold takes a number";
    case 'u':
      options.upgrade = true;
      return nullptr;
    case 'o':
      options.once = true;
      return nullptr;
    default:
      return "unknown option";
  }
}

const char* problem_with(const LoadOptions& options) {
  if (options.socket.empty()) return "--socket is missing";
  if (options.connections == 0) return "--connections takes a number above 0";
  if (options.seconds <= 0) return "--seconds takes a number above 0";
  if (options.upgrade && options.hold == 0 && !options.once) return "--upgrade goes with --hold";
  if (options.requests > 0 && (options.warmup > 0 || options.rate > 0)) {
    return "--requests goes with --warmup 0 and without --rate";
  }
  return nullptr;
}

}  // namespace

std::string LoadOptions::request() const {
  std::string text = "GET " + path + " HTTP/1.1\r\nHost: lxd\r\n";
  if (upgrade) {
    text += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
    text += std::string("Sec-WebSocket-Key: ") + kWebSocketKey + "\r\n";
  }
  return text + "\r\n";
}

std::string LoadOptions::patch_request(uint64_t connection, uint64_t number) const {
  const std::string body = filled_in(patch.value_or(""), number);
  return "PATCH " + filled_in(path, connection) +
         " HTTP/1.1\r\nHost: lxd\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

ParsedOptions parse_load_options(int argc, char** argv) {
  const option names[] = {
      {"socket", required_argument, nullptr, 's'},
      {"path", required_argument, nullptr, 'p'},
      {"mode", required_argument, nullptr, 'm'},
      {"connections", required_argument, nullptr, 'c'},
      {"seconds", required_argument, nullptr, 't'},
      {"warmup", required_argument, nullptr, 'w'},
      {"rate", required_argument, nullptr, 'r'},
      {"expect-status", required_argument, nullptr, 'x'},
      {"expect-body", required_argument, nullptr, 'b'},
      {"expect-body-file", required_argument, nullptr, 'f'},
      {"patch", required_argument, nullptr, 'j'},
      {"requests", required_argument, nullptr, 'q'},
      {"hold", required_argument, nullptr, 'n'},
      {"upgrade", no_argument, nullptr, 'u'},
      {"once", no_argument, nullptr, 'o'},
      {"help", no_argument, nullptr, 'h'},
      {},
  };
  ParsedOptions parsed;
  for (int name; (name = getopt_long(argc, argv, "", names, nullptr)) != -1;) {
    if (name == 'h') {
      fputs(kLoadHelp, stdout);
      return {{}, 0};
    }
    const char* problem = read_option(name, optarg, parsed.options);
    if (problem != nullptr) return refuse(problem);
  }
  if (optind < argc) return refuse("there is a word too many");
  const char* problem = problem_with(parsed.options);
  return problem != nullptr ? refuse(problem) : std::move(parsed);
}

}  // namespace devlxd::bench
