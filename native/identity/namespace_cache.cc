#include "identity/namespace_cache.h"

#include <sys/stat.h>
#include <sys/vfs.h>

#include "os/kernel.h"
#include "os/own_fd.h"

namespace devlxd {
namespace {

// 128 KB. Numbers are given out in turn, so this many processes in a row have a place each.
constexpr size_t kPlaces = 8192;

// Before pidfs all pidfds shared one inode; where inode numbers have 32 bits they come again.
bool pidfds_have_inodes() {
  OwnFd self(pidfd_open(getpid()));
  struct statfs status;
  return sizeof(ino_t) == sizeof(uint64_t) && self.valid() && fstatfs(self.get(), &status) == 0 &&
         status.f_type == kPidfsMagic;
}

}  // namespace

NamespaceCache::NamespaceCache(IdentityMethod method)
    : entries_(method == IdentityMethod::kPidfdIoctl && pidfds_have_inodes() ? kPlaces : 0) {}

uint64_t NamespaceCache::key_of(int pidfd) const {
  struct stat status;
  return !entries_.empty() && fstat(pidfd, &status) == 0 ? status.st_ino : 0;
}

uint64_t NamespaceCache::find(uint64_t key) const {
  if (key == 0) return 0;
  const Entry& entry = entries_[key % kPlaces];
  return entry.key == key ? entry.namespace_id : 0;
}

void NamespaceCache::remember(uint64_t key, uint64_t namespace_id) {
  if (key != 0) entries_[key % kPlaces] = {key, namespace_id};
}

}  // namespace devlxd
