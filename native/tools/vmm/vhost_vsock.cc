#include "tools/vmm/vhost_vsock.h"

#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace devlxd::vmm {
namespace {

constexpr uint64_t kGuestAddress = 1 << 20;  // where the memory is, as the machine sees it
constexpr size_t kRingBytes = 1 << 20;
constexpr size_t kMemoryBytes = 2 * kRingBytes;
constexpr size_t kPage = 4096;

}  // namespace

Failure VhostVsock::start(uint64_t cid) {
  device_ = OwnFd(open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC));
  if (!device_.valid()) return {"open", errno};
  if (const Failure failure = share_memory()) return failure;
  for (const size_t index : {kReceived, kSent}) {
    if (const Failure failure = set_up(index)) return failure;
  }
  int running = 1;
  if (ioctl(device_.get(), VHOST_VSOCK_SET_GUEST_CID, &cid) != 0)
    return {"VHOST_VSOCK_SET_GUEST_CID", errno};
  if (ioctl(device_.get(), VHOST_VSOCK_SET_RUNNING, &running) != 0)
    return {"VHOST_VSOCK_SET_RUNNING", errno};
  for (uint16_t i = 0; i < kEntries; i++) {
    give(rings_[kReceived], i, kEntryBytes, VRING_DESC_F_WRITE);
  }
  return {};
}

Failure VhostVsock::share_memory() {
  void* memory =
      mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {"mmap", errno};
  memory_ = static_cast<char*>(memory);
  uint64_t features = uint64_t{1} << VIRTIO_F_VERSION_1;
  // vhost_memory ends in an array of as many regions as it says.
  alignas(vhost_memory) std::array<char, sizeof(vhost_memory) + sizeof(vhost_memory_region)> bytes =
      {};
  auto* table = reinterpret_cast<vhost_memory*>(bytes.data());
  table->nregions = 1;
  table->regions[0].guest_phys_addr = kGuestAddress;
  table->regions[0].memory_size = kMemoryBytes;
  table->regions[0].userspace_addr = reinterpret_cast<uint64_t>(memory_);
  if (ioctl(device_.get(), VHOST_SET_OWNER, 0) != 0) return {"VHOST_SET_OWNER", errno};
  if (ioctl(device_.get(), VHOST_SET_FEATURES, &features) != 0)
    return {"VHOST_SET_FEATURES", errno};
  if (ioctl(device_.get(), VHOST_SET_MEM_TABLE, table) != 0) return {"VHOST_SET_MEM_TABLE", errno};
  return {};
}

Failure VhostVsock::set_up(size_t index) {
  Ring& ring = rings_[index];
  char* base = memory_ + index * kRingBytes;
  ring.descriptors = reinterpret_cast<vring_desc*>(base);
  ring.available = reinterpret_cast<vring_avail*>(base + kPage);
  ring.used = reinterpret_cast<vring_used*>(base + 2 * kPage);
  ring.buffers = base + 4 * kPage;
  ring.kick = OwnFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  ring.call = OwnFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const auto number = static_cast<unsigned>(index);
  vhost_vring_state entries = {number, kEntries};
  vhost_vring_state first = {number, 0};
  vhost_vring_addr addresses = {};
  addresses.index = number;
  addresses.desc_user_addr = reinterpret_cast<uint64_t>(ring.descriptors);
  addresses.avail_user_addr = reinterpret_cast<uint64_t>(ring.available);
  addresses.used_user_addr = reinterpret_cast<uint64_t>(ring.used);
  vhost_vring_file kick = {number, ring.kick.get()};
  vhost_vring_file call = {number, ring.call.get()};
  if (ioctl(device_.get(), VHOST_SET_VRING_NUM, &entries) != 0)
    return {"VHOST_SET_VRING_NUM", errno};
  if (ioctl(device_.get(), VHOST_SET_VRING_BASE, &first) != 0)
    return {"VHOST_SET_VRING_BASE", errno};
  if (ioctl(device_.get(), VHOST_SET_VRING_ADDR, &addresses) != 0)
    return {"VHOST_SET_VRING_ADDR", errno};
  if (ioctl(device_.get(), VHOST_SET_VRING_KICK, &kick) != 0)
    return {"VHOST_SET_VRING_KICK", errno};
  if (ioctl(device_.get(), VHOST_SET_VRING_CALL, &call) != 0)
    return {"VHOST_SET_VRING_CALL", errno};
  return {};
}

void VhostVsock::give(Ring& ring, uint16_t entry, size_t bytes, uint16_t flags) {
  const char* buffer = ring.buffers + entry * kEntryBytes;
  vring_desc& descriptor = ring.descriptors[entry];
  descriptor.addr = kGuestAddress + static_cast<uint64_t>(buffer - memory_);
  descriptor.len = static_cast<uint32_t>(bytes);
  descriptor.flags = flags;
  ring.available->ring[ring.next % kEntries] = entry;
  ring.next++;
  __atomic_store_n(&ring.available->idx, ring.next, __ATOMIC_RELEASE);
  eventfd_write(ring.kick.get(), 1);
}

bool VhostVsock::has_returned(const Ring& ring) {
  return __atomic_load_n(&ring.used->idx, __ATOMIC_ACQUIRE) != ring.seen;
}

void VhostVsock::send(const Packet& packet) {
  Ring& ring = rings_[kSent];
  const auto entry = static_cast<uint16_t>(ring.next % kEntries);
  char* buffer = ring.buffers + entry * kEntryBytes;
  memcpy(buffer, &packet.head, sizeof packet.head);
  packet.data.copy(buffer + sizeof packet.head, packet.data.size());
  give(ring, entry, sizeof packet.head + packet.data.size(), 0);
  while (!has_returned(ring)) usleep(100);
  ring.seen++;
}

std::optional<Packet> VhostVsock::receive() {
  Ring& ring = rings_[kReceived];
  if (!has_returned(ring)) return std::nullopt;
  const auto entry = static_cast<uint16_t>(ring.used->ring[ring.seen % kEntries].id);
  ring.seen++;
  const char* buffer = ring.buffers + entry * kEntryBytes;
  Packet packet;
  memcpy(&packet.head, buffer, sizeof packet.head);
  packet.data.assign(buffer + sizeof packet.head, packet.head.len);
  give(ring, entry, kEntryBytes, VRING_DESC_F_WRITE);
  return packet;
}

}  // namespace devlxd::vmm
