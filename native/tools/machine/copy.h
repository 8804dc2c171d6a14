#ifndef DEVLXD_TOOLS_MACHINE_COPY_H_
#define DEVLXD_TOOLS_MACHINE_COPY_H_

#include <unistd.h>

// What one read gives; false: nothing more comes, or goes.
inline bool copy(int from, int to) {
  char bytes[65536];
  const ssize_t count = read(from, bytes, sizeof bytes);
  if (count <= 0) return false;
  for (ssize_t at = 0; at < count;) {
    const ssize_t written = write(to, bytes + at, static_cast<size_t>(count - at));
    if (written <= 0) return false;
    at += written;
  }
  return true;
}

#endif  // DEVLXD_TOOLS_MACHINE_COPY_H_
