// The first program of a virtual machine that boots a whole system, as an initramfs does: loads the
// modules in /modules, and goes on as systemd of the file system on the first disk.
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "tools/machine/modules.h"

namespace {

constexpr const char* kDisk = "/dev/vda";
constexpr const char* kRoot = "/root";
constexpr const char* kInit = "/usr/lib/systemd/systemd";
constexpr int kPatience = 1000;  // of 10 ms: the kernel may find the disk later

}  // namespace

int main() {
  load_modules();
  mount("dev", "/dev", "devtmpfs", 0, nullptr);
  for (int i = 0; i < kPatience && access(kDisk, F_OK) != 0; i++) usleep(10'000);
  if (mount(kDisk, kRoot, "ext4", 0, nullptr) != 0) perror(kDisk);
  if (mount("/dev", "/root/dev", nullptr, MS_MOVE, nullptr) != 0) perror("/dev");
  // The root of a mount namespace is left by moving the new one over it.
  if (chdir(kRoot) != 0 || mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || chroot(".") != 0)
    perror(kRoot);
  execl(kInit, kInit, nullptr);
  perror(kInit);
}
