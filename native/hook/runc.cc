// An OCI runtime for docker and containerd, which have no place for hooks: adds devlxd's to the
// bundle of a container that is created, and becomes runc. Whatever is wrong with that, runc runs.
#include <fcntl.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "hook/bundle.h"
#include "hook/json.h"
#include "hook/runc_arguments.h"
#include "os/own_fd.h"

namespace devlxd::hook {
namespace {

constexpr size_t kLongestConfiguration = 16 << 20;

void warn(const std::string& sentence) {
  openlog("devlxd-runc", LOG_PID, LOG_DAEMON);
  syslog(LOG_WARNING, "%s", sentence.c_str());
}

// This program's own file, and the files beside it.
std::string own_path() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return size < 0 ? "" : std::string(path, static_cast<size_t>(size));
}

std::string hook_json(const std::vector<std::string>& words) {
  const std::string own = own_path();
  const std::string path = own.substr(0, own.rfind('/') + 1) + "devlxd-hook";
  std::string arguments = json_string("devlxd-hook");
  for (const std::string& word : words) arguments += "," + json_string(word);
  return "{\"path\":" + json_string(path) + ",\"args\":[" + arguments + "," + json_string("oci") +
         "]}";
}

bool read_all(int fd, std::string& text) {
  char buffer[64 * 1024];
  ssize_t size;
  while ((size = read(fd, buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(size));
    if (text.size() > kLongestConfiguration) return false;
  }
  return size == 0;
}

bool write_all(int fd, const std::string& text) {
  for (size_t written = 0; written < text.size();) {
    const ssize_t size = write(fd, text.data() + written, text.size() - written);
    if (size < 0) return false;
    written += static_cast<size_t>(size);
  }
  return true;
}

// Either the whole new text is there, with owner and mode of the old, or the old one.
bool replace_file(const std::string& path, const std::string& text, const struct stat& before) {
  const std::string other = path + ".devlxd-" + std::to_string(getpid());
  OwnFd fd(open(other.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return false;
  const bool is_whole = write_all(fd.get(), text) &&
                        fchown(fd.get(), before.st_uid, before.st_gid) == 0 &&
                        fchmod(fd.get(), before.st_mode & 07777) == 0;
  if (is_whole && rename(other.c_str(), path.c_str()) == 0) return true;
  const int code = errno;
  unlink(other.c_str());
  errno = code;
  return false;
}

void add_hooks(const std::string& bundle, const std::vector<std::string>& hook_words) {
  const std::string name = bundle + "/config.json";
  char path[PATH_MAX];
  if (realpath(name.c_str(), path) == nullptr) return;  // which the runtime says better
  const OwnFd fd(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status;
  std::string text;
  if (!fd.valid() || fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      !read_all(fd.get(), text)) {
    return warn(name + " cannot be read; its container has no guest API");
  }
  const auto hooked = with_hooks(text, hook_json(hook_words));
  if (hooked && !replace_file(path, *hooked, status)) {
    warn(name + ": " + strerror(errno) + "; its container has no guest API");
  }
}

bool is_this_program(const std::string& path) {
  struct stat own;
  struct stat other;
  return stat("/proc/self/exe", &own) == 0 && stat(path.c_str(), &other) == 0 &&
         own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

// As execvp(3) does, but past this program, which may have the runtime's name.
void become(const std::string& runtime, char** argv) {
  if (runtime.find('/') != std::string::npos) {
    execv(runtime.c_str(), argv);
    return;
  }
  const char* variable = getenv("PATH");
  std::string left = std::string(variable == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : variable);
  left += ":/usr/sbin:/sbin";  // where Debian has it, and not every service looks
  for (size_t colon; !left.empty(); left.erase(0, colon == left.npos ? left.npos : colon + 1)) {
    colon = left.find(':');
    const std::string path = left.substr(0, colon) + "/" + runtime;
    if (!is_this_program(path)) execv(path.c_str(), argv);
  }
}

int run(const std::vector<std::string>& words) {
  RuncArguments arguments = parse_runc_arguments(words);
  if (arguments.bundle) add_hooks(*arguments.bundle, arguments.hook_words);
  std::vector<char*> argv = {arguments.runtime.data()};
  for (std::string& word : arguments.words) argv.push_back(word.data());
  argv.push_back(nullptr);
  become(arguments.runtime, argv.data());
  fprintf(stderr, "devlxd-runc: cannot run %s: %s; name it with --devlxd-runtime=PATH\n",
          arguments.runtime.c_str(), strerror(errno));
  return 127;
}

}  // namespace
}  // namespace devlxd::hook

int main(int argc, char** argv) { return devlxd::hook::run({argv + 1, argv + argc}); }
