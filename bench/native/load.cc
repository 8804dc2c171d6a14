// The load of the benchmarks: many clients of a Unix socket in one thread, every answer checked.
#include <sys/socket.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "holder.h"
#include "load_options.h"
#include "request_load.h"
#include "sockets.h"
#include "tally.h"

namespace devlxd::bench {
namespace {

double microseconds(uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; }

void print(const LoadResult& result, const Tally& tally) {
  const Histogram& latency = result.nanoseconds;
  const double per_second =
      result.seconds > 0 ? static_cast<double>(result.requests) / result.seconds : 0;
  printf(
      "{\"requests\":%lu,\"seconds\":%.6f,\"perSecond\":%.1f,\"busy\":%.4f,\"errors\":%lu,"
      "\"mismatches\":%lu,"
      "\"answerBytes\":%lu,\"latencyMicroseconds\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,"
      "\"p99.9\":%.1f,\"max\":%.1f}}\n",
      result.requests, result.seconds, per_second, result.busy, tally.errors(), tally.mismatches(),
      result.answer_bytes, microseconds(latency.percentile(50)),
      microseconds(latency.percentile(90)), microseconds(latency.percentile(99)),
      microseconds(latency.percentile(99.9)), microseconds(latency.max()));
}

// One request; its answer goes to standard output as it comes.
void ask_once(const LoadOptions& options, const sockaddr_un& address, Tally& tally) {
  Failure failure;
  const OwnFd fd = connect_to(address, failure);
  if (failure) return tally.error(failure);
  fcntl(fd.get(), F_SETFL, 0);  // blocking
  const std::string request = options.request();
  send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
  AnswerParser answer(options.body());
  auto outcome = AnswerParser::Outcome::kMore;
  std::string received;
  char buffer[4096];
  while (outcome == AnswerParser::Outcome::kMore) {
    const ssize_t size = read(fd.get(), buffer, sizeof buffer);
    if (size <= 0) return tally.error("the connection ended before its answer did");
    received.append(buffer, size);
    fwrite(buffer, 1, size, stdout);
    std::string_view rest(buffer, size);
    outcome = answer.feed(rest);
  }
  if (outcome == AnswerParser::Outcome::kBroken) return tally.error("this is no HTTP answer");
  if (answer.status() != options.status() || !answer.body_matches()) {
    tally.mismatch(answer, received);
  }
}

int run(const LoadOptions& options) {
  const auto address = address_of(options.socket);
  if (!address) {
    fputs("bench_load: the path of --socket is too long for a Unix socket\n", stderr);
    return 2;
  }
  raise_descriptor_limit();
  Tally tally;
  if (options.once) {
    ask_once(options, *address, tally);
  } else if (options.hold > 0) {
    const auto connect = [&](uint64_t, Failure& failure) { return connect_to(*address, failure); };
    print_result(Holder(options, connect, tally).run(), tally);
  } else {
    print(RequestLoad(options, *address, tally).run(), tally);
  }
  return tally.clean() ? 0 : 1;
}

}  // namespace
}  // namespace devlxd::bench

int main(int argc, char** argv) {
  const auto parsed = devlxd::bench::parse_load_options(argc, argv);
  return parsed.exit_code ? *parsed.exit_code : devlxd::bench::run(parsed.options);
}
