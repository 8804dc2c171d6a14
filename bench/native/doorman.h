#ifndef DEVLXD_BENCH_DOORMAN_H_
#define DEVLXD_BENCH_DOORMAN_H_

#include <cstdint>
#include <unordered_map>

namespace devlxd::bench {

// What a server asks the kernel about each connection: nothing but the credentials, or everything
// that devlxd asks.
class Doorman {
 public:
  enum class Care { kCredentials, kIdentity };

  explicit Doorman(Care care) : care_(care) {}

  // False when the kernel does not identify the peer of fd.
  bool knows(int fd);

 private:
  bool identifies(int fd);

  Care care_;
  // By pid namespace id. The first caller registers it: the floor has no operator.
  std::unordered_map<uint64_t, uint64_t> connections_of_namespace_;
};

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_DOORMAN_H_
