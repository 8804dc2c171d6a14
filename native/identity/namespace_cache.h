#ifndef DEVLXD_IDENTITY_NAMESPACE_CACHE_H_
#define DEVLXD_IDENTITY_NAMESPACE_CACHE_H_

#include <cstdint>
#include <vector>

#include "identity/pid_namespace.h"

namespace devlxd {

// The pid namespaces of processes that have called before, so that one that connects again and
// again is asked for its own only once. The key is the inode number of a pidfd, which pidfs gives
// to one process and, until the next boot, to no other; a process never changes its pid namespace,
// so an entry cannot become wrong. Two processes may want the same place: the later one has it.
class NamespaceCache {
 public:
  // Knows nobody, ever, on the older paths: before Linux 6.9 pidfds have no inode number of their
  // own, and with a pid alone the pidfd has to be proven the caller's each time.
  explicit NamespaceCache(IdentityMethod path);

  // The inode number of a pidfd, by which to ask for its process; 0 when there is none.
  uint64_t key_of(int pidfd) const;

  // The id of the process's pid namespace, or 0. key 0 is nobody's.
  uint64_t find(uint64_t key) const;
  void remember(uint64_t key, uint64_t namespace_id);

 private:
  struct Entry {
    uint64_t key = 0;
    uint64_t namespace_id = 0;
  };

  std::vector<Entry> entries_;
};

}  // namespace devlxd

#endif  // DEVLXD_IDENTITY_NAMESPACE_CACHE_H_
