#include "identity/namespace_owner.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "identity/pid_namespace.h"
#include "os/kernel.h"

namespace devlxd {
namespace {

// Ids of namespaces do not get that large.
constexpr uint64_t kIsUser = uint64_t{1} << 63;

uint64_t own_user_namespace_id() {
  static const uint64_t id = [] {
    const OwnFd own(open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC));
    return own.valid() ? namespace_id(own.get()) : 0;
  }();
  return id;
}

// The user of the host that made the outermost user namespace around a pid namespace; none: it lies
// in the daemon's own, so it took privileges to make it.
std::optional<uid_t> maker_of(int pid_namespace, uid_t otherwise) {
  OwnFd inner(ioctl(pid_namespace, kNsGetUserNamespace, 0));
  if (!inner.valid()) return otherwise;
  if (namespace_id(inner.get()) == own_user_namespace_id()) return std::nullopt;
  for (;;) {
    OwnFd outer(ioctl(inner.get(), kNsGetParent, 0));
    if (!outer.valid() || namespace_id(outer.get()) == own_user_namespace_id()) break;
    inner = std::move(outer);
  }
  uid_t uid = 0;
  return ioctl(inner.get(), kNsGetOwnerUid, &uid) == 0 ? uid : otherwise;
}

}  // namespace

uint64_t namespace_owner(int pid_namespace, uint64_t outermost, uid_t uid) {
  const auto maker = maker_of(pid_namespace, uid);
  return !maker || *maker == 0 || *maker == geteuid() ? outermost : kIsUser | *maker;
}

}  // namespace devlxd
