#include "os/memory_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace devlxd {

OwnFd memory_file(std::string_view bytes) {
  OwnFd file(memfd_create("devlxd", MFD_CLOEXEC));
  while (file.valid() && !bytes.empty()) {
    const ssize_t written = write(file.get(), bytes.data(), bytes.size());
    if (written <= 0) return OwnFd();
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return file;
}

std::string contents_of(int memory_file, size_t most) {
  struct stat status;
  if (fstat(memory_file, &status) != 0 || status.st_size < 0) return {};
  const auto size = static_cast<size_t>(status.st_size);
  if (size > most) return {};
  std::string bytes(size, '\0');
  const ssize_t count = pread(memory_file, bytes.data(), size, 0);
  return count == static_cast<ssize_t>(size) ? bytes : std::string();
}

}  // namespace devlxd
