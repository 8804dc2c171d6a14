#ifndef DEVLXD_OS_OWN_FD_H_
#define DEVLXD_OS_OWN_FD_H_

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace devlxd {

// The one owner of a file descriptor: move-only, closes in its destructor.
class OwnFd {
 public:
  OwnFd() = default;
  explicit OwnFd(int fd) : fd_(fd) {}
  OwnFd(OwnFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnFd& operator=(OwnFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  OwnFd(const OwnFd&) = delete;
  OwnFd& operator=(const OwnFd&) = delete;
  ~OwnFd() { reset(); }

  // Another descriptor of the same open file, with the first free number from `least` on; invalid,
  // with errno, when none is left.
  static OwnFd duplicate(int fd, int least = 0) { return OwnFd(fcntl(fd, F_DUPFD_CLOEXEC, least)); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

  // Gives the descriptor away; the new owner closes it.
  int release() { return std::exchange(fd_, -1); }

  void reset() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

}  // namespace devlxd

#endif  // DEVLXD_OS_OWN_FD_H_
