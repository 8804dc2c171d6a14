#ifndef DEVLXD_OS_SEND_FILE_H_
#define DEVLXD_OS_SEND_FILE_H_

#include <cstddef>
#include <cstdint>

#include "os/kernel.h"

namespace devlxd {

struct SentFile {
  size_t bytes = 0;
  Failure failure;
};

// Sends length bytes of a file, from offset on, to a non-blocking socket; the pages go from the
// page cache to the reader without passing through this process. Fewer bytes and no failure: the
// reader is slow; wait for it on the event loop. ENODATA: the file is shorter.
// Blocks while the disk is read; never call it on the event loop.
SentFile send_file(int socket, int file, uint64_t offset, size_t length);

}  // namespace devlxd

#endif  // DEVLXD_OS_SEND_FILE_H_
