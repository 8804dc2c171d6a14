#ifndef DEVLXD_TOOLS_VMM_VHOST_VSOCK_H_
#define DEVLXD_TOOLS_VMM_VHOST_VSOCK_H_

#define VIRTIO_RING_NO_LEGACY
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "os/kernel.h"
#include "os/own_fd.h"

namespace devlxd::vmm {

struct Packet {
  virtio_vsock_hdr head = {};
  std::string data;
};

// The vsock device of a virtual machine as the host's kernel has it (/dev/vhost-vsock), and the
// machine's driver on its two rings: for the kernel this is a machine with that CID.
class VhostVsock {
 public:
  VhostVsock() = default;
  VhostVsock(const VhostVsock&) = delete;
  VhostVsock& operator=(const VhostVsock&) = delete;

  // EADDRINUSE: another machine has this CID.
  Failure start(uint64_t cid);

  // Once this comes back, the kernel has what was sent.
  void send(const Packet& packet);
  // The next one that has come.
  std::optional<Packet> receive();
  // Polls readable when one may have come.
  int event() const { return rings_[kReceived].call.get(); }

 private:
  static constexpr size_t kReceived = 0;  // the order of the kernel's queues
  static constexpr size_t kSent = 1;
  static constexpr uint16_t kEntries = 64;
  static constexpr size_t kEntryBytes = 8192;

  struct Ring {
    vring_desc* descriptors = nullptr;
    vring_avail* available = nullptr;
    vring_used* used = nullptr;
    char* buffers = nullptr;
    OwnFd kick;
    OwnFd call;
    uint16_t next = 0;  // entries given to the kernel
    uint16_t seen = 0;  // of these, known to be back
  };

  Failure share_memory();
  Failure set_up(size_t index);
  void give(Ring& ring, uint16_t entry, size_t bytes, uint16_t flags);
  static bool has_returned(const Ring& ring);

  OwnFd device_;
  char* memory_ = nullptr;
  std::array<Ring, 2> rings_;
};

}  // namespace devlxd::vmm

#endif  // DEVLXD_TOOLS_VMM_VHOST_VSOCK_H_
