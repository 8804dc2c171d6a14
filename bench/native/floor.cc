// The floors of the benchmarks: what accepting, identifying and answering costs when nothing else
// is done.
#include <getopt.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "canned_server.h"
#include "read_count.h"
#include "sockets.h"
#include "websocket.h"

namespace {

using devlxd::bench::Doorman;
using devlxd::bench::read_count;

constexpr const char* kHelp =
    "Usage: bench_floor --socket PATH [options]\n"
    "\n"
    "ResponseCache every HTTP request with the same bytes. Prints ready; ends when standard input "
    "does.\n"
    "\n"
    "  --mode MODE       plain: accept4 and SO_PEERCRED; identify: also SO_PEERPIDFD,\n"
    "                    PIDFD_GET_PID_NAMESPACE, NS_GET_ID and a look-up (plain)\n"
    "  --body TEXT       the body of the answer\n"
    "  --body-file FILE  the same, from a file\n"
    "  --head TEXT       status line and headers, up to and with the blank line; made up to fit\n"
    "                    the body when left out\n"
    "  --fanout          answers with the 101 of a WebSocket; each byte on standard input sends\n"
    "                    the body to all connections, as a text message\n"
    "  --backlog N       connections that may wait to be accepted (4096)\n"
    "\n"
    "Examples:\n"
    "  bench_floor --socket /tmp/floor --body hello\n"
    "  bench_floor --socket /tmp/floor --mode identify --body-file answer.json\n";

struct Options {
  std::string socket;
  Doorman::Care care = Doorman::Care::kCredentials;
  std::string body;
  std::optional<std::string> head;
  bool fanout = false;
  int backlog = 4096;
};

int usage(const char* problem) {
  fprintf(stderr, "bench_floor: %s; see bench_floor --help\n", problem);
  return 2;
}

bool read_mode(const char* text, Doorman::Care& care) {
  care = strcmp(text, "identify") == 0 ? Doorman::Care::kIdentity : Doorman::Care::kCredentials;
  return care == Doorman::Care::kIdentity || strcmp(text, "plain") == 0;
}

bool read_file(const char* path, std::string& text) {
  std::ifstream file(path, std::ios::binary);
  text.assign(std::istreambuf_iterator<char>(file), {});
  return file.good() || file.eof();
}

std::string head_for(const Options& options) {
  if (options.head) return *options.head;
  if (options.fanout) {
    return std::string("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n") +
           "Connection: Upgrade\r\nSec-WebSocket-Accept: " + devlxd::bench::kWebSocketAccept +
           "\r\n\r\n";
  }
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(options.body.size()) + "\r\n\r\n";
}

int serve(const Options& options) {
  const auto address = devlxd::bench::address_of(options.socket);
  if (!address) return usage("the path of --socket is too long for a Unix socket");
  devlxd::bench::raise_descriptor_limit();
  devlxd::Failure failure;
  devlxd::OwnFd listening = devlxd::bench::listen_at(*address, options.backlog, failure);
  if (!failure) {
    const std::string head = head_for(options);
    devlxd::bench::CannedServer server(
        std::move(listening), options.care, options.fanout ? head : head + options.body,
        options.fanout ? devlxd::bench::text_frame(options.body) : std::string());
    failure = server.run();
    unlink(options.socket.c_str());
  }
  if (failure) devlxd::bench::complain("bench_floor", failure);
  return failure ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const option names[] = {
      {"socket", required_argument, nullptr, 's'},
      {"mode", required_argument, nullptr, 'm'},
      {"body", required_argument, nullptr, 'b'},
      {"body-file", required_argument, nullptr, 'f'},
      {"head", required_argument, nullptr, 'd'},
      {"fanout", no_argument, nullptr, 'o'},
      {"backlog", required_argument, nullptr, 'l'},
      {"help", no_argument, nullptr, 'h'},
      {},
  };
  Options options;
  for (int name; (name = getopt_long(argc, argv, "", names, nullptr)) != -1;) {
    switch (name) {
      case 's':
        options.socket = optarg;
        break;
      case 'm':
        if (!read_mode(optarg, options.care)) return usage("--mode takes plain or identify");
        break;
      case 'b':
        options.body = optarg;
        break;
      case 'f':
        if (!read_file(optarg, options.body)) return usage("--body-file cannot be read");
        break;
      case 'd':
        options.head = optarg;
        if (!options.head->ends_with("\r\n\r\n")) return usage("--head ends with a blank line");
        break;
      case 'o':
        options.fanout = true;
        break;
      case 'l':
        if (!read_count(optarg, options.backlog)) return usage("--backlog takes a number");
        break;
      case 'h':
        fputs(kHelp, stdout);
        return 0;
      default:
        return usage("unknown option");
    }
  }
  if (options.socket.empty()) return usage("--socket is missing");
  return optind < argc ? usage("there is a word too many") : serve(options);
}
