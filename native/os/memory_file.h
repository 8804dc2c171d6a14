#ifndef DEVLXD_OS_MEMORY_FILE_H_
#define DEVLXD_OS_MEMORY_FILE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "os/own_fd.h"

namespace devlxd {

// A file that lies in memory, for another process: memfd_create(2). Invalid when there can be none.
OwnFd memory_file(std::string_view bytes);

// Up to this many bytes of such a file; empty when it cannot be read, or has more.
std::string contents_of(int memory_file, size_t most);

}  // namespace devlxd

#endif  // DEVLXD_OS_MEMORY_FILE_H_
