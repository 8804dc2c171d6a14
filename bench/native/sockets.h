#ifndef DEVLXD_BENCH_SOCKETS_H_
#define DEVLXD_BENCH_SOCKETS_H_

#include <sys/un.h>

#include <cstdint>
#include <optional>
#include <string>

#include "os/kernel.h"
#include "os/own_fd.h"

namespace devlxd::bench {

// Empty when the path is too long for a Unix socket.
std::optional<sockaddr_un> address_of(const std::string& path);

// A listening socket that every uid may connect to; whatever was at the path is replaced.
OwnFd listen_at(const sockaddr_un& address, int backlog, Failure& failure);

// Connected and non-blocking. EAGAIN: the backlog is full, which nothing but time mends.
OwnFd connect_to(const sockaddr_un& address, Failure& failure);

// Adds fd to an epoll set; its events carry key.
bool watch(int epoll, int fd, uint64_t key, uint32_t events, Failure& failure);

// As many descriptors as the hard limit has.
void raise_descriptor_limit();

// Prints "PROGRAM: CALL: reason" to standard error.
void complain(const char* program, const Failure& failure);

// CLOCK_MONOTONIC, nanoseconds.
uint64_t now();

// CLOCK_PROCESS_CPUTIME_ID, nanoseconds.
uint64_t cpu_time();

}  // namespace devlxd::bench

#endif  // DEVLXD_BENCH_SOCKETS_H_
