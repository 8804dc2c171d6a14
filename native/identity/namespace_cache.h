#ifndef DEVLXD_IDENTITY_NAMESPACE_CACHE_H_
#define DEVLXD_IDENTITY_NAMESPACE_CACHE_H_

#include <cstdint>
#include <vector>

#include "identity/pid_namespace.h"

namespace devlxd {

// The pid namespaces of processes that have connected before: repeated connections of one process
// cost one look-up. The key is the inode number of a pidfd, which pidfs gives
// to one process and, until the next boot, to no other; a process never changes its pid namespace,
// so an entry cannot become wrong. Direct-mapped:
// on a collision the newer entry wins.
class NamespaceCache {
 public:
  // Always empty with the older methods: before Linux 6.9 pidfds have no inode number of their
  // own, and with a pid alone the pidfd must be proven the caller's each time.
  explicit NamespaceCache(IdentityMethod method);

  // The inode number of a pidfd, by which to ask for its process; 0 when there is none.
  uint64_t key_of(int pidfd) const;

  // The id of the process's pid namespace, or 0. key 0 is never known.
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
