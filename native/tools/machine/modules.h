#ifndef DEVLXD_TOOLS_MACHINE_MODULES_H_
#define DEVLXD_TOOLS_MACHINE_MODULES_H_

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

// Loads the modules of the kernel that /modules/order names, in that order.
inline void load_modules() {
  FILE* order = fopen("/modules/order", "r");
  char name[256];
  while (order != nullptr && fscanf(order, "%255s", name) == 1) {
    const int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST) perror(name);
    close(fd);
  }
  if (order != nullptr) fclose(order);
}

#endif  // DEVLXD_TOOLS_MACHINE_MODULES_H_
